#!/usr/bin/python3
"""Backends that are silent under load: stopped (SIGSTOP), or accepting connections and answering nothing. GETs that wait for them
are answered by others, no more is sent to them, and only a probe brings them back."""

import unittest

from failover import FailoverTest, Load, be_together

OUT = ("suspect", "ejected", "probing")


class SilentTest(FailoverTest):
    def silence(self, begin, end):
        """What all kinds of silence have in common. `begin`, `end`: of the backend's."""
        backends = self.start_backends(4)
        victim = backends[0]
        proxy = self.start_proxy_of(backends, health={"ejection": "150ms", "ejection_max": "300ms"})
        with Load(proxy.port) as load:
            load.run_requests(80)
            begin(victim)
            self.wait_for_state(proxy, victim, *OUT)
            load.run_requests(20)
            self.assert_not_chosen(proxy, [victim], load)
            self.assertIn(self.state(proxy, victim), OUT)
            # Longer than an ejection lasts: no time brings it back.
            changes = self.changes(proxy, victim, "live")
            load.run_for(0.5)
            self.assertIn(self.state(proxy, victim), OUT)
            self.assertEqual(self.changes(proxy, victim, "live"), changes)
            end(victim)
            self.wait_for_state(proxy, victim, "live")
            load.run_until_served_by(victim)
        self.assertIn("silent", self.changes(proxy, victim))
        self.assertEqual(self.changes(proxy, victim, "live")[-1], "probe_passed")
        self.assertEqual(load.failed("GET"), [])
        self.assertEqual(self.executed_twice(backends), [])
        return load

    def test_stopped(self):
        load = self.silence(lambda victim: victim.freeze(), lambda victim: victim.thaw())
        # The POSTs that it had were answered when it went on.
        self.assertEqual(load.failed(), [])

    def test_accepts_and_never_answers(self):
        load = self.silence(lambda victim: victim.be("hole"), lambda victim: victim.be("answer 200"))
        self.assertEqual(load.failed(), [])

    def test_a_fleet_that_is_slower_as_a_whole(self):
        """When nobody answers it is not this one that is silent; that it takes longer now is learned."""
        backends = self.start_backends(3)
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            load.run_requests(100)
            be_together(backends, "delay 400")
            load.run_requests(100)
            be_together(backends, "delay 5")
            load.run_requests(50)
        self.assertEqual(load.failed(), [])
        self.assertEqual(self.executed_twice(backends), [])
        for backend in backends:
            self.wait_for_state(proxy, backend, "live")


if __name__ == "__main__":
    unittest.main()
