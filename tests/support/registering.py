"""registering - for the tests of srsd register with checks and commands: a service whose health a test sets."""

import product
import proxy

MOODY = str(product.PROJECT / "tests/system/moody_service.py")
QUICK = ("--interval", "50ms", "--check-timeout", "500ms")


class RegisterTest(product.ZooKeeperTest):
    """What all of them need."""

    def setUp(self):
        super().setUp()
        self.port = product.free_port()
        self.address = f"127.0.0.1:{self.port}"

    def register(self, *words, address=None, **options):
        return self.start_srsd_before("register", self.label, address or self.address, *words, **options)

    def start_srsd_before(self, *words, **options):
        """srsd on this ZooKeeper; what stands after -- stays at the end."""
        return self.start("srsd", words[0], "--zookeeper", self.zookeeper.servers, *words[1:], **options)

    def moody(self, *options):
        return (MOODY, str(self.port), *options)

    def is_there(self):
        return self.kazoo.exists(self.path(self.address)) is not None

    def set_mood(self, mood):
        proxy.ask(self.port, f"/set/{mood}")

    def child_pid(self, process):
        process.wait_for_output("^starting")
        return int(next(line for line in process.output if line.startswith("starting")).split()[1])
