"""The colourisers that this project grew out of, each a preset of one U-Net and one trainer."""
