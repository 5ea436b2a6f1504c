"""NIfTI: volumes with their place in the patient, read and written."""
