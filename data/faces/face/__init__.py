"""What is on the front of the head: face, eyes, brows, mouth, glasses."""
