"""The audit log: who did what with patient data, as a chain of hashes that shows changes; its DICOM audit messages."""
