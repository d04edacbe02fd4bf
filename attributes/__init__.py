"""Attributes: what a picture of a face shows, read by a small network trained on drawn faces.

    reader = load_reader(path)                      # attributes.reader
    seen = reader.read(pictures)                    # hair style, eye colour, turn, ...
    reader.features(pictures)                       # for a Frechet distance, `fd_attr`
    agreement(seen, reader.read(grey_input))        # did the pictures keep what the input shows?

Nothing is imported here: processes that only draw need no torch.
"""
