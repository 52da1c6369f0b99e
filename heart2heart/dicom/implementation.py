"""The UID by which DICOM files name heart2heart as their writer."""

from pydicom.uid import UID

IMPLEMENTATION_CLASS_UID = UID("2.25.73811523049962016548310284756109923341")
"""Implementation Class UID (0002,0012) of reports and of copies with a view code."""
