"""From files to files: one picture read, its problem posed and solved, the answers written."""
