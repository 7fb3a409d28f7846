"""MIME: raw messages read strictly (`reading`), and messages written (`writing`)."""
