"""The values of files to grey levels."""
