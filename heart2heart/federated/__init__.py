"""One round of NVIDIA FLARE: each hospital releases its counts, the server pools them; no row leaves a hospital.

The job names classes of the installed package and carries no code. What a site reads is in a file at the site.
"""
