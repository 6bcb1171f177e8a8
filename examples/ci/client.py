"""Stands for your program: says something, is silent for 6 s, and still wants an answer."""

import os
import socket
import time

host, port = os.environ["KALIVE_LAB_SERVER"].rsplit(":", 1)
connection = socket.create_connection((host, int(port)), timeout=3)

# What is tested: without these three lines the NAT forgets the connection, and the answer never comes.
connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)

answers = connection.makefile()
for silence in (0, 6):
    time.sleep(silence)
    request = f"after {silence} s\n"
    connection.sendall(request.encode())
    # The server sends a greeting, and then what it is sent.
    if request not in answers:
        raise SystemExit("the server closed the connection")
