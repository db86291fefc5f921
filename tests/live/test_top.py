# SPDX-License-Identifier: Apache-2.0
"""`sonoseg top` says what the API says, and says so when it cannot."""
import json
import os
import pty
import socket
import threading
import time

import plus_source
import web_client

import live # plus_source has put its folder on the path

TOKEN = "0123456789abcdef0123456789abcdef"


def top(port, *words):
    return live.run("top", f"127.0.0.1:{port}", *words)


def check_once(port):
    latest = web_client.get_json(port, "/api/metrics/latest")[1]
    run = top(port, "--once")
    assert run.returncode == 1 and not run.stderr, run # SOURCE_STALLED is CRITICAL
    assert f"received {latest['frames']['received']}  processed {latest['frames']['processed']}" in run.stdout, run.stdout
    assert f"dropped {latest['frames']['dropped']}" in run.stdout and "\033" not in run.stdout
    assert "CRITICAL  SOURCE_STALLED" in run.stdout and latest["process"]["version"] in run.stdout
    spans = latest["latency"]["1m"]["end_to_end"]
    assert " ".join(f"{spans[which]:.3f}" for which in ("p50", "p95", "p99", "max")) in " ".join(run.stdout.split()), run.stdout
    told = top(port, "--once", "--json")
    assert json.loads(told.stdout)["frames"] == latest["frames"] and told.stdout.count("\n") == 1


def check_view(port):
    """On a terminal: in colour, again and again, ended by Ctrl-C."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(live.command(), ["sonoseg", "top", f"127.0.0.1:{port}", "--interval", "0.2"])
    text = b""
    while text.count(b"\033[H") < 4:
        text += os.read(terminal, 65536)
    os.write(terminal, b"\x03")
    try:
        while os.read(terminal, 65536):
            pass
    except OSError: # the terminal is gone with the process
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert b"\033[1mverdict" in text and b"VISIBLE" in text and b"\033[K" in text


def check_refusals(port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        free = other.getsockname()[1]
        run = top(free, "--once")
        assert run.returncode == 1 and "Connection refused" in run.stderr, run
        other.listen()

        def talk(words):
            connection = other.accept()[0]
            connection.recv(1000)
            connection.sendall(words)
            connection.close()

        for words, said in ((b"SSH-2.0\r\n\r\n", "does not speak HTTP"), (b"", "does not speak HTTP"),
                            (b"HTTP/1.1 200 OK\r\n\r\n{}", "no service of sonoseg"),
                            (b"HTTP/1.1 401 No\r\n\r\n{\"error\":{\"text\":\"the token\\u001b is missing\"}}",
                             "answer 401: the token?001b is missing (--token-file)")):
            thread = threading.Thread(target=talk, args=(words,))
            thread.start()
            run = top(free, "--once")
            thread.join()
            assert run.returncode == 1 and said in run.stderr, (words, run)
    assert live.run("top", "8080").returncode == 2 and live.run("top", "::1:80").returncode == 2
    for words in (("--interval", "0"), ("another:1",), ("--twice",)):
        assert top(port, *words).returncode == 2, words
    folder = live.folder()
    assert top(port, "--once", "--token-file", folder / "none").returncode == 1
    (folder / "token").write_text("two words\n")
    assert "no blanks" in top(port, "--once", "--token-file", folder / "token").stderr
    (folder / "token").write_text(TOKEN + "\n")
    assert top(port, "--once", "--token-file", folder / "token").stdout


def main():
    source = plus_source.PlusSource(rate_hz=50)
    service, port = web_client.serve(source.port, "--source-stall-ms", 400)
    while web_client.get_json(port, "/api/metrics/latest")[1]["frames"]["processed"] < 20:
        time.sleep(0.05)
    assert top(port, "--once").returncode == 0
    check_view(port)
    source.is_paused = True
    service.wait_line("fault=SOURCE_STALLED")
    time.sleep(1.2) # until what the API says stands still
    check_once(port)
    check_refusals(port)
    assert service.stop() == 0
    source.close()
    print("top: passed")


if __name__ == "__main__":
    main()
