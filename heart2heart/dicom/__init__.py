"""Reads one ultrasound DICOM file: header, pixel data, decoded frames, regions, mode and timing."""
