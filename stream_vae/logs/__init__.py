"""Log lines to templates, and templates to counts."""
