"""A service beside the PACS: takes clips, answers them by models, and sends structured reports to an archive.

Every clip lies on the disk before it is acknowledged, and every answer is in one SQLite file. A service that is killed
at any point goes on where it stopped, and answers no clip twice.
"""
