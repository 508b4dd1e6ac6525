"""A Kafka with passwords and ACLs: the rights of docs/operations.md are enough, and what is missing is said."""
import confluent_kafka
import confluent_kafka.admin
import pytest

from ess import Broker, wait_for

ACL = confluent_kafka.admin
RIGHTS = ["READ", "DESCRIBE", "CREATE", "WRITE", "DESCRIBE_CONFIGS"]
PASSWORDS = {"admin": "admin-secret", "ess": "ess-secret"}
SETTINGS = [
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:admin;User:ANONYMOUS",
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT", "sasl.enabled.mechanisms=PLAIN",
    "sasl.mechanism.inter.broker.protocol=PLAIN",
    "listener.name.plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="admin" password="admin-secret" user_admin="admin-secret" user_ess="ess-secret";',
]


class GuardedBroker(Broker):
    def admin(self):
        return ACL.AdminClient({"bootstrap.servers": self.address, "log_level": 0, "security.protocol": "SASL_PLAINTEXT",
                                "sasl.mechanisms": "PLAIN", "sasl.username": "admin", "sasl.password": PASSWORDS["admin"]})

    def deny(self, topic, *operations):
        """Until `forgive`."""
        kind = (ACL.ResourceType.TOPIC, topic, ACL.ResourcePatternType.LITERAL, "User:ess", "*")
        self.denied = [ACL.AclBinding(*kind, operation, ACL.AclPermissionType.DENY) for operation in operations]
        admin = self.admin()
        for future in admin.create_acls(self.denied).values():
            future.result()

    def forgive(self):
        kind = ACL.AclPermissionType.DENY
        filters = [ACL.AclBindingFilter(a.restype, a.name, a.resource_pattern_type, a.principal, a.host, a.operation, kind) for a in self.denied]
        admin = self.admin()
        for future in admin.delete_acls(filters).values():
            future.result()

    def allow(self, resource, name, *operations, pattern=ACL.ResourcePatternType.PREFIXED):
        acls = [ACL.AclBinding(resource, name, pattern, "User:ess", "*", operation, ACL.AclPermissionType.ALLOW) for operation in operations]
        admin = self.admin()
        for future in admin.create_acls(acls).values():
            future.result()


@pytest.fixture
def own_broker(tmp_path):
    broker = GuardedBroker(tmp_path / "kafka", settings=SETTINGS)
    broker.start()
    yield broker
    broker.stop()


def options(ess, password=PASSWORDS["ess"]):
    file = ess.folder / "password"
    file.write_text(password + "\n")
    return {"kafka.rdkafka.security.protocol": "SASL_PLAINTEXT", "kafka.rdkafka.sasl.mechanisms": "PLAIN",
            "kafka.rdkafka.sasl.username": "ess", "kafka.password_file": file}


def test_a_wrong_password_is_named_as_the_cause(ess_on_own_broker):
    ess = ess_on_own_broker
    ingest = ess.ingest(options(ess, "wrong"), ready=False)
    wait_for(lambda: any("Authentication failed" in line["text"] for line in ingest.lines("kafka_error")))
    assert ingest.get("/readyz").status == 503 and ingest.running()


def test_the_documented_rights_are_enough_and_each_that_is_missing_is_said(ess_on_own_broker, own_broker):
    ess, topics, operation = ess_on_own_broker, f"{ess_on_own_broker.prefix}.", ACL.AclOperation
    receiver = ess.receiver()
    ingest = ess.ingest(options(ess), ready=False)
    own_broker.allow(ACL.ResourceType.TOPIC, topics, operation.READ, operation.DESCRIBE)
    wait_for(lambda: "authorization failed" in ingest.get("/readyz").json["detail"])
    assert "authorization failed" in ingest.wait_line("waiting_for_kafka")["reason"]
    own_broker.allow(ACL.ResourceType.TOPIC, topics, operation.CREATE, operation.WRITE)
    ingest.wait_ready()
    assert any("DescribeConfigs" in line["reason"] for line in ingest.restart().lines("topic_differs"))
    own_broker.allow(ACL.ResourceType.TOPIC, topics, operation.DESCRIBE_CONFIGS)
    seen = len(ingest.lines("topic_differs"))
    assert not any("DescribeConfigs" in line["reason"] for line in ingest.restart().lines("topic_differs")[seen:])
    dispatcher = ess.dispatcher(options(ess), ready=False)
    assert "authorization failed" in dispatcher.wait_line("group_error")["reason"].lower()
    assert dispatcher.get("/readyz").status == 503 and "authorization failed" in dispatcher.get("/readyz").json["detail"].lower()
    own_broker.allow(ACL.ResourceType.GROUP, f"{ess.prefix}-dispatcher", operation.READ, pattern=ACL.ResourcePatternType.LITERAL)
    dispatcher.wait_ready()
    ess.subscribe("guarded", receiver, ["a"])
    ess.publish("a", 1)
    receiver.wait(1)
    assert not dispatcher.lines("start_over") and not ingest.lines("start_over")


@pytest.mark.parametrize("name", ["subscribers", "tokens"])
def test_a_right_that_is_taken_back_is_said_and_nothing_starts_over(ess_on_own_broker, own_broker, name):
    ess, topic, right = ess_on_own_broker, f"{ess_on_own_broker.prefix}.{name}", ACL.AclOperation
    own_broker.allow(ACL.ResourceType.TOPIC, f"{ess.prefix}.", *(getattr(right, n) for n in RIGHTS))
    own_broker.allow(ACL.ResourceType.GROUP, f"{ess.prefix}-dispatcher", right.READ)
    receiver, both = ess.receiver(), [ess.ingest(options(ess)), ess.dispatcher(options(ess))]
    ess.subscribe("kept", receiver, ["a"])
    ess.publish("a", 1)
    receiver.wait(1)
    ess.allow("subscribers_not_read", "group_error")
    own_broker.deny(topic, right.READ)
    for program in both:
        wait_for(lambda: program.get("/readyz").status == 503)
        wait_for(lambda: f"no right to read topic {topic}" in program.get("/readyz").json["detail"],
                 told=lambda: program.get("/readyz").json)
        assert "grant Read" in program.wait_line("subscribers_not_read")["reason"]
    own_broker.forgive()
    for program in both:
        program.wait_ready()
        program.wait_line("subscribers_read_again")
        assert not program.lines("start_over")
    assert len(both[1].lines("subscriber_started", subscriber="kept")) == 1
    ess.publish("a", 2)
    receiver.wait(2)
