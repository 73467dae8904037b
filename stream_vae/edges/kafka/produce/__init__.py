"""Producers: transactional outputs, feeding, redriving."""
