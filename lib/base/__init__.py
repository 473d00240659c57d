"""Files, folders, paths and parameters: what every other room stands on."""
