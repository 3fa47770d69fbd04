"""Works that are reproduced here, a folder for each."""
