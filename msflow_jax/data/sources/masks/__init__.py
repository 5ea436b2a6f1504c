"""Images with masks: classes, files, shapes."""
