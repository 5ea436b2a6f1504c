"""The MedMNIST v2 sets."""
