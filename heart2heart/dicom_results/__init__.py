"""Writes a model's answers as DICOM: structured reports, key object selections, and copies with a view code.

The documents hold the patient and study identifiers of the clips, so they stay in the hospital. They are written by
highdicom, the extra `sr`. Each has UIDs of its own, which are derived from the clips, the model and its answers: the
same answers give the same UIDs.
"""
