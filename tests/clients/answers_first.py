"""A stream that is read to its end in the background, so that a server with one place becomes free while a client tries again."""

import threading


class AnswersFirst:
    def __init__(self, stream):
        self.thread = threading.Thread(target=lambda: [None for _ in stream])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join()
