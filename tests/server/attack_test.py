"""attack_bench.py in little, with room for a busy machine; the connection cap and its answer (promises 5 and 6)."""

import socket
import statistics
import unittest

import attack_bench
from server_process import Server


class Attacked(unittest.TestCase):
    def test_a_thousand_attackers_do_not_slow_a_healthy_client(self):
        calm, attacked, cost = attack_bench.measure_attacks(2, 80)
        a, b = (statistics.median(times) for times in (calm, attacked))
        print(f"p50 {a * 1e3:.2f} ms calm, {b * 1e3:.2f} ms attacked; the attackers cost {cost * 100:.1f} % of a processor")
        self.assertLess(b, 1.5 * a + 0.005)
        self.assertLess(cost, 0.2)

    def test_the_engine_does_not_wait_for_the_server(self):
        share, steps, _ = attack_bench.measure_idleness(3, 32)
        print(f"idle {share * 100:.3f} %, {steps:.0f} steps/s")
        self.assertLess(share, 0.03)

    def test_slow_senders_are_closed_at_their_deadlines(self):
        server = Server("--header-time", 0.3, "--body-time", 0.5, "--idle-time", 0.4)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        for sent, status in ((b"", b""), (head, b"408"), (head + b"content-length: 100\r\n\r\n{", b"408")):
            with socket.create_connection((server.host, server.port), timeout=10) as one:
                one.sendall(sent)
                received = b""
                while piece := one.recv(4096):
                    received += piece
                self.assertEqual(received[9:12], status)
        self.assertEqual(server.stop(), 0)

    def test_connections_beyond_the_cap_are_told_so(self):
        server = Server("--max-connections", 20)
        held = [server.connect() for _ in range(20)]
        for connection in held:
            connection.request("GET", "/health")
            self.assertEqual(connection.getresponse().read()[:1], b"{")
        answer = server.get("/health")
        self.assertEqual(answer.status, 503)
        self.assertIn("retry-after", answer.headers)
        for connection in held:
            connection.close()
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
