"""The simulator in real time: SSH servers, a control socket, the demo."""
