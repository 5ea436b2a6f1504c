"""DICOM: objects, series, and what their headers say."""
