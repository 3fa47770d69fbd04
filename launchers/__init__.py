"""Command-line programs: flags onto a config, one library call, a report."""
