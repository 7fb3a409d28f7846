"""MIME: reads raw messages strictly (`reading`), and writes messages (`writing`)."""
