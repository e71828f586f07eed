"""Drives the clients of the OpenAPI 2019-02-14 for Python: one check after the other against one server.

Each check writes one JSON line, {"check": name} with "error" where it failed. The clients are as they are
released; only where they connect to is told. What an attacker would do (a nonce again, an old time) is done
by giving the client another clock or another source of nonces.
"""

import argparse
import base64
import sys
import time

from mq_http_sdk.mq_client import MQClient
from mq_http_sdk.mq_exception import MQServerException
from mq_http_sdk.mq_producer import TopicMessage

import clients
from openapi_checks import run

PATIENCE_SECONDS = 30
PAUSE_SECONDS = 0.2
# Created beforehand: its messages are dead letters after the first attempt.
DEAD_GROUP = "GID_dead"


def ensure(condition, *found):
    if not condition:
        raise AssertionError("not so: " + ", ".join(repr(value) for value in found))


def equal(found, expected):
    ensure(found == expected, found, f"expected {expected!r}")


def soon(ask):
    """The first answer of `ask` that is one."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = ask()
        if answer:
            return answer
        ensure(time.monotonic() < end, "nothing came", answer)
        time.sleep(PAUSE_SECONDS)


class Checks:
    """The checks, by name. Each makes what it needs, under names of its own."""

    def __init__(self, client, make_client, arguments):
        self.api = client
        self._make_client = make_client
        self._keys = f"http://{arguments.endpoint}", arguments.access_key, arguments.secret_key

    def refused(self, code, operation, **parameters):
        return self._refused(self.api, code, operation, parameters)

    @staticmethod
    def _refused(api, code, operation, parameters):
        try:
            answer = api.call(operation, **parameters)
        except clients.Refused as refusal:
            equal(refusal.code, code)
            ensure(refusal.request_id, refusal)
            return refusal
        raise AssertionError(f"{operation} was not refused: {answer}")

    def topic(self, name, kind=0, **more):
        self.api.call("OnsTopicCreate", Topic=name, MessageType=kind, **more)
        return name

    def group(self, name, **more):
        self.api.call("OnsGroupCreate", GroupId=name, **more)
        return name

    def _http(self):
        """A client of the data plane. Each has one connection, which the server ends when it is idle."""
        return MQClient(*self._keys)

    def send(self, topic, body, key):
        message = TopicMessage(body, "TagA")
        message.set_message_key(key)
        return self._http().get_producer("", topic).publish_message(message).message_id

    def receive(self, topic, group):
        try:
            return self._http().get_consumer("", topic, group).consume_message(1, 3)[0]
        except MQServerException as reason:
            if reason.type != "MessageNotExist":
                raise
            return None

    def consume(self, topic, group):
        message = soon(lambda: self.receive(topic, group))
        self._http().get_consumer("", topic, group).ack_message([message.receipt_handle])
        return message

    def regions(self):
        ensure(self.api.call("OpenOnsService")["OrderId"])
        regions = self.api.call("OnsRegionList")["Data"]["RegionDo"]
        equal([region["OnsRegionId"] for region in regions], ["conformance"])

    def instances(self):
        call = self.api.call
        created = call("OnsInstanceCreate", InstanceName="shop_1", Remark="of the shop")["Data"]
        instance = created["InstanceId"]
        ensure(instance.startswith("MQ_INST_"), created)
        self.refused("BIZ_FIELD_CHECK_INVALID", "OnsInstanceCreate", InstanceName="shop_1")
        self.refused("BIZ_FIELD_CHECK_INVALID", "OnsInstanceCreate", InstanceName="a b c")
        self.refused("MissingInstanceName", "OnsInstanceCreate")
        info = call("OnsInstanceBaseInfo", InstanceId=instance)["InstanceBaseInfo"]
        shown = [info[name] for name in ("InstanceName", "InstanceStatus", "IndependentNaming", "Remark")]
        equal(shown, ["shop_1", 5, True, "of the shop"])
        ensure(info["Endpoints"]["TcpEndpoint"].startswith("http://"), info)
        call("OnsInstanceUpdate", InstanceId=instance, InstanceName="\u5546\u5e97_2", Remark="changed")
        info = call("OnsInstanceBaseInfo", InstanceId=instance)["InstanceBaseInfo"]
        equal([info["InstanceName"], info["Remark"]], ["\u5546\u5e97_2", "changed"])
        # The same names as in the default instance, and nothing to do with it.
        self.topic("instances-topic")
        self.topic("instances-topic", kind=2, InstanceId=instance)
        self.group("GID_instances", InstanceId=instance)
        listed = call("OnsInstanceInServiceList", NeedResourceInfo=True)["Data"]["InstanceVO"]
        found = [one for one in listed if one["InstanceId"] == instance]
        equal([(one["TopicCount"], one["GroupCount"]) for one in found], [(1, 1)])
        for topic, kind in (("", 0), (instance, 2)):
            topics = call("OnsTopicList", Topic="instances-topic", **({"InstanceId": topic} if topic else {}))
            equal([one["MessageType"] for one in topics["Data"]["PublishInfoDo"]], [kind])
        self.refused("INSTANCE_NOT_EMPTY", "OnsInstanceDelete", InstanceId=instance)
        call("OnsTopicDelete", Topic="instances-topic", InstanceId=instance)
        call("OnsGroupDelete", GroupId="GID_instances", InstanceId=instance)
        call("OnsInstanceDelete", InstanceId=instance)
        self.refused("INSTANCE_NOT_FOUND", "OnsInstanceBaseInfo", InstanceId=instance)
        self.refused("INSTANCE_NOT_FOUND", "OnsTopicList", InstanceId=instance)

    def topics(self):
        call = self.api.call
        for kind in (0, 1, 2, 4, 5):
            self.topic(f"topics-{kind}", kind, Remark=f"kind {kind}")
        self.refused("BIZ_TOPIC_EXISTED", "OnsTopicCreate", Topic="topics-0", MessageType=0)
        self.refused("BIZ_FIELD_CHECK_INVALID", "OnsTopicCreate", Topic="GID_topic", MessageType=0)
        self.refused("BIZ_FIELD_CHECK_INVALID", "OnsTopicCreate", Topic="topics-3", MessageType=3)
        self.refused("MissingMessageType", "OnsTopicCreate", Topic="topics-x")
        listed = call("OnsTopicList")["Data"]["PublishInfoDo"]
        found = {one["Topic"]: (one["MessageType"], one["Remark"]) for one in listed}
        for kind in (0, 1, 2, 4, 5):
            equal(found.get(f"topics-{kind}"), (kind, f"kind {kind}"))
        now = time.time() * 1000
        ensure(all(abs(one["CreateTime"] - now) < 600_000 for one in listed if "topics-" in one["Topic"]), listed)
        self.send("topics-0", "hello", "k")
        status = call("OnsTopicStatus", Topic="topics-0")["Data"]
        equal([status["Perm"], status["TotalCount"]], [6, 1])
        ensure(status["LastTimeStamp"] > 0, status)
        call("OnsTopicUpdate", Topic="topics-0", Perm=4)
        equal(call("OnsTopicStatus", Topic="topics-0")["Data"]["Perm"], 4)
        detail = call("OnsTopicSubDetail", Topic="topics-0", InstanceId="default")["Data"]
        equal(detail["SubscriptionDataList"]["SubscriptionDataList"], [])
        call("OnsTopicDelete", Topic="topics-0")
        self.refused("BIZ_TOPIC_NOT_FOUND", "OnsTopicStatus", Topic="topics-0")

    def groups(self):
        call = self.api.call
        self.group("GID_groups_tcp", Remark="of tcp")
        self.group("GID_groups_http", GroupType="http")
        self.refused("BIZ_SUBSCRIPTION_EXISTED", "OnsGroupCreate", GroupId="GID_groups_tcp")
        self.refused("BIZ_FIELD_CHECK_INVALID", "OnsGroupCreate", GroupId="GID_groups", GroupType="udp")
        listed = call("OnsGroupList", GroupId="groups_")["Data"]["SubscribeInfoDo"]
        equal([(one["GroupId"], one["GroupType"], one["Remark"]) for one in listed],
              [("GID_groups_http", "http", ""), ("GID_groups_tcp", "tcp", "of tcp")])
        listed = call("OnsGroupList", GroupId="groups_", GroupType="http")["Data"]["SubscribeInfoDo"]
        equal([one["GroupId"] for one in listed], ["GID_groups_http"])
        detail = call("OnsGroupSubDetail", GroupId="GID_groups_tcp", InstanceId="default")["Data"]
        equal([detail["GroupId"], detail["Online"]], ["GID_groups_tcp", False])
        # A group that is switched off gets nothing.
        topic = self.topic("groups-topic")
        self.send(topic, "hello", "k")
        call("OnsGroupConsumerUpdate", GroupId="GID_groups_http", ReadEnable=False)
        try:
            self.receive(topic, "GID_groups_http")
            raise AssertionError("a group that is switched off was served")
        except MQServerException as reason:
            equal(reason.type, "AccessDenied")
        call("OnsGroupConsumerUpdate", GroupId="GID_groups_http", ReadEnable=True)
        equal(self.consume(topic, "GID_groups_http").message_body, "hello")
        call("OnsGroupDelete", GroupId="GID_groups_tcp")
        self.refused("BIZ_SUBSCRIPTION_NOT_FOUND", "OnsGroupDelete", GroupId="GID_groups_tcp")

    def tags(self):
        call = self.api.call
        instance = call("OnsInstanceCreate", InstanceName="tags-1")["Data"]["InstanceId"]
        topic, group = self.topic("tags-topic"), self.group("GID_tags")
        for kind, name in (("INSTANCE", instance), ("TOPIC", topic), ("GROUP", group)):
            place = {"ResourceType": kind, "InstanceId": "default"}
            tags = [{"Key": "env", "Value": "test"}, {"Key": "team", "Value": "a b"}]
            call("TagResources", ResourceId=[name], Tag=tags, **place)
            wanted = [{"Key": "env", "Value": "test"}]
            found = call("ListTagResources", Tag=wanted, ResourceId=[name], **place)["TagResources"]
            equal([(one["ResourceId"], one["ResourceType"], one["TagKey"], one["TagValue"]) for one in found],
                  [(name, f"ALIYUN::MQ::{kind}", "env", "test"), (name, f"ALIYUN::MQ::{kind}", "team", "a b")])
            call("UntagResources", ResourceId=[name], TagKey=["env"], **place)
            found = call("ListTagResources", ResourceId=[name], **place)["TagResources"]
            equal([one["TagKey"] for one in found], ["team"])
            self.refused("BIZ_FIELD_CHECK_INVALID", "TagResources", ResourceId=[name],
                         Tag=[{"Key": "acs:x", "Value": ""}], **place)
        wanted = [{"Key": "team", "Value": "a b"}]
        listed = call("OnsTopicList", Tag=wanted)["Data"]["PublishInfoDo"]
        equal([(one["Topic"], one["Tags"]["Tag"]) for one in listed], [(topic, wanted)])
        listed = call("OnsGroupList", Tag=wanted)["Data"]["SubscribeInfoDo"]
        equal([one["GroupId"] for one in listed], [group])
        listed = call("OnsInstanceInServiceList", Tag=wanted)["Data"]["InstanceVO"]
        equal([one["InstanceId"] for one in listed], [instance])
        call("UntagResources", ResourceId=[topic], All=True, ResourceType="TOPIC", InstanceId="default")
        equal(call("OnsTopicList", Tag=wanted)["Data"]["PublishInfoDo"], [])
        call("OnsInstanceDelete", InstanceId=instance)

    def consumers(self):
        call = self.api.call
        topic, group = self.topic("consumers-topic"), self.group("GID_consumers", GroupType="http")
        for number in range(3):
            self.send(topic, f"hello {number}", "k")
        self.consume(topic, group)
        left = call("OnsConsumerAccumulate", GroupId=group, Detail=True)["Data"]
        equal(left["TotalDiff"], 2)
        ensure(topic in [one["Topic"] for one in left["DetailInTopicList"]["DetailInTopicDo"]], left)
        status = call("OnsConsumerStatus", GroupId=group, Detail=True)["Data"]
        equal(status["TotalDiff"], 2)
        # Clients of HTTP leave no connection.
        connections = call("OnsConsumerGetConnection", GroupId=group)["Data"]
        equal(connections["ConnectionList"]["ConnectionDo"], [])
        span = call("OnsConsumerTimeSpan", GroupId=group, Topic=topic)["Data"]
        ensure(0 < span["MinTimeStamp"] <= span["MaxTimeStamp"], span)
        call("OnsConsumerResetOffset", GroupId=group, Topic=topic, Type=0)
        equal(call("OnsConsumerAccumulate", GroupId=group)["Data"]["TotalDiff"], 0)
        call("OnsConsumerResetOffset", GroupId=group, Topic=topic, Type=1, ResetTimestamp=span["MinTimeStamp"] - 1)
        equal(call("OnsConsumerAccumulate", GroupId=group)["Data"]["TotalDiff"], 3)
        self.refused("BIZ_SUBSCRIPTION_NOT_FOUND", "OnsConsumerAccumulate", GroupId="GID_nobody")

    def messages(self):
        call = self.api.call
        topic, group = self.topic("messages-topic"), self.group("GID_messages", GroupType="http")
        begin = int(time.time() * 1000) - 1000
        ids = [self.send(topic, f"hello {number} \u4e2d", f"key-{number}") for number in range(7)]
        end = int(time.time() * 1000) + 1000
        found = call("OnsMessageGetByMsgId", Topic=topic, MsgId=ids[3])["Data"]
        equal([found["MsgId"], found["Topic"], found["ReconsumeTimes"]], [ids[3], topic, 0])
        properties = {one["Name"]: one["Value"] for one in found["PropertyList"]["MessageProperty"]}
        equal([properties.get("KEYS"), properties.get("TAGS")], ["key-3", "TagA"])
        found = call("OnsMessageGetByKey", Topic=topic, Key="key-5")["Data"]["OnsRestMessageDo"]
        equal([one["MsgId"] for one in found], [ids[5]])
        detail = call("OnsMessageDetail", Topic=topic, MsgId=ids[3], InstanceId="default")["Data"]
        equal(base64.b64decode(detail["Body"]).decode(), "hello 3 \u4e2d")
        pages = {"Topic": topic, "BeginTime": begin, "EndTime": end, "PageSize": 5}
        first = call("OnsMessagePageQueryByTopic", CurrentPage=1, **pages)["MsgFoundDo"]
        equal([first["CurrentPage"], first["MaxPageCount"]], [1, 2])
        second = call("OnsMessagePageQueryByTopic", CurrentPage=2, TaskId=first["TaskId"], **pages)["MsgFoundDo"]
        rows = [first["MsgFoundList"]["OnsRestMessageDo"], second["MsgFoundList"]["OnsRestMessageDo"]]
        equal([len(page) for page in rows], [5, 2])
        equal(sorted(one["MsgId"] for page in rows for one in page), sorted(ids))
        self.consume(topic, group)
        track = call("OnsMessageTrace", Topic=topic, MsgId=ids[0])["Data"]["MessageTrack"]
        ensure(all(one["TrackType"] for one in track), track)
        self.refused("BIZ_CONSUMER_NOT_ONLINE", "OnsMessagePush", Topic=topic, GroupId=group, MsgId=ids[0],
                     ClientId="nobody")
        self.refused("BIZ_NO_MESSAGE", "OnsMessageGetByMsgId", Topic=topic, MsgId="0" * 32)

    def dead_letters(self):
        call = self.api.call
        topic = self.topic("dead-letters-topic")
        begin = int(time.time() * 1000) - 1000
        self.send(topic, "bad", "key-bad")
        soon(lambda: self.receive(topic, DEAD_GROUP))

        def page():
            # It is a dead letter once somebody asks for it again.
            equal(self.receive(topic, DEAD_GROUP), None)
            try:
                found = call("OnsDLQMessagePageQueryByGroupId", GroupId=DEAD_GROUP, BeginTime=begin,
                             EndTime=int(time.time() * 1000) + 1000, CurrentPage=1, PageSize=5)
            except clients.Refused as refusal:
                # Before the first of them there is nothing to be asked about.
                ensure(refusal.code in ("BIZ_TOPIC_NOT_FOUND", "BIZ_NO_MESSAGE"), refusal)
                return None
            return found["MsgFoundDo"]["MsgFoundList"]["OnsRestMessageDo"]
        letters = soon(page)
        equal(len(letters), 1)
        letter = letters[0]["MsgId"]
        found = call("OnsDLQMessageGetById", GroupId=DEAD_GROUP, MsgId=letter)["Data"]
        equal(found["MsgId"], letter)
        sent = call("OnsDLQMessageResendById", GroupId=DEAD_GROUP, MsgId=letter)["Data"]["MsgId"]
        equal(len(sent), 1)
        again = soon(lambda: self.receive(topic, DEAD_GROUP))
        equal(again.message_body, "bad")
        self.refused("BIZ_NO_MESSAGE", "OnsDLQMessageGetById", GroupId=DEAD_GROUP, MsgId="0" * 32)

    def traces(self):
        call = self.api.call
        topic = self.topic("traces-topic")
        begin = int(time.time() * 1000) - 1000
        message = self.send(topic, "hello", "key-t")
        span = {"BeginTime": begin, "EndTime": int(time.time() * 1000) + 1000, "Topic": topic}
        for query in (call("OnsTraceQueryByMsgId", MsgId=message, **span),
                      call("OnsTraceQueryByMsgKey", MsgKey="key-t", **span)):
            def finished():
                data = call("OnsTraceGetResult", QueryId=query["QueryId"], Topic=topic)["TraceData"]
                return data if data["Status"] == "finish" else None
            data = soon(finished)
            equal([data["QueryId"], data["Topic"]], [query["QueryId"], topic])

    def trends(self):
        call = self.api.call
        topic, group = self.topic("trends-topic"), self.group("GID_trends", GroupType="http")
        begin = int(time.time() * 1000) - 600_000
        for _ in range(4):
            self.send(topic, "hello", "k")
        self.consume(topic, group)

        def count(operation, **more):
            data = call(operation, Topic=topic, BeginTime=begin, EndTime=int(time.time() * 1000) + 60_000,
                        Type=0, Period=1, **more)["Data"]
            return sum(one["Y"] for one in data["Records"]["StatsDataDo"])
        soon(lambda: count("OnsTrendTopicInputTps") == 4)
        soon(lambda: count("OnsTrendGroupOutputTps", GroupId=group) == 1)

    def access(self):
        def refused(client, code):
            self._refused(client, code, "OnsRegionList", {})
        wrong_secret = self._make_client(secret_key="not-the-secret")
        refused(wrong_secret, wrong_secret.wrong_secret)
        refused(self._make_client(access_key="nobody"), "InvalidAccessKeyId.NotFound")
        refused(self._make_client(access_key="alice", secret_key="alice-secret"), "Forbidden.RAM")
        with self.api.fixed_nonce("the-same-nonce"):
            self.api.call("OnsRegionList")
            refused(self.api, "SignatureNonceUsed")
        with self.api.clock_behind(minutes=16):
            refused(self.api, "InvalidTimeStamp.Expired")
        with self.api.clock_behind(minutes=14):
            self.api.call("OnsRegionList")
        # Characters that have to be escaped are signed as they are sent.
        self.topic("access-topic", Remark="a+b c%20/~*'()!&=\u4e2d")
        listed = self.api.call("OnsTopicList", Topic="access-topic")["Data"]["PublishInfoDo"]
        equal(listed[0]["Remark"], "a+b c%20/~*'()!&=\u4e2d")


NAMES = ("regions", "instances", "topics", "groups", "tags", "consumers", "messages", "dead-letters", "traces",
         "trends", "access")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", choices=clients.CLIENTS, required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--access-key", required=True)
    parser.add_argument("--secret-key", required=True)
    parser.add_argument("checks", nargs="*", default=NAMES)
    arguments = parser.parse_args()

    def make_client(access_key=arguments.access_key, secret_key=arguments.secret_key):
        return clients.CLIENTS[arguments.client](arguments.endpoint, access_key, secret_key)
    run(Checks(make_client(), make_client, arguments), arguments.checks)


if __name__ == "__main__":
    sys.exit(main())
