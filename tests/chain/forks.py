"""Jobs without the start of a program: `python -m` as a fork of one process that has imported torch already.

A job of a small study takes a tenth of a second and its imports five. `serving` puts a program called `python` first on
the PATH of a workflow, which hands its words, folder, environment and output to the server, and ends as the fork does.
"""

import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

CLIENT = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [b"fds"], [1, 2])
    server.sendall(told + b"\\0")
    code = server.recv(1)
sys.exit(code[0] if code else 70)
"""


@contextlib.contextmanager
def serving(package: Path, folder: Path, modules: tuple[str, ...]) -> Iterator[Path]:
    """A folder for the PATH, below `folder`, whose `python` forks a process that imported `modules` of `package`."""
    programs, address = folder / "bin", str(folder / "server")
    programs.mkdir(parents=True)
    client = programs / "python"
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    command = [sys.executable, "-P", __file__, address, *modules]
    environment = os.environ | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n", "the server did not start"
        try:
            yield programs
        finally:
            server.terminate()


def _serve(address: str, modules: list[str]) -> None:
    for name in modules:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(5)
        print("ready", flush=True)
        parent = os.getppid()
        while os.getppid() == parent:  # a killed test leaves no server
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                if os.fork() == 0:
                    listener.close()
                    connection.sendall(bytes([_job(connection)]))
                    os._exit(0)
                connection.close()


def _job(connection: socket.socket) -> int:
    """Run what a client asks for, as `python -m` would; returns its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, outputs, _, _ = socket.recv_fds(connection, 3, 2)
    told = b""
    while not told.endswith(b"\0"):
        told += connection.recv(65536)
    (option, module, *words), folder, environment = json.loads(told[:-1])
    assert option == "-m"
    for number, output in enumerate(outputs, 1):
        os.dup2(output, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = words
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
