"""Tables that people and spreadsheets wrote."""
