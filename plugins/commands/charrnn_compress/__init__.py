"""The commands ``charrnn compress`` and ``charrnn decompress``: any file, without loss."""
