"""Cohorts: examinations of several modalities, from a table or the BIDS layout."""
