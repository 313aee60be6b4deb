"""The web page of ``fsrvos-app``: paint an object in a few frames, upload a video, say what to find, see it.

``page`` lays it out, ``events`` answers its buttons, ``serving`` runs it. What they call knows nothing of gradio.
"""
