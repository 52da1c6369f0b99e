"""Synthetic hospitals that write true ultrasound DICOM, so that demo and tests need no patient."""
