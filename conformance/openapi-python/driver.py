"""Drives the client of the OpenAPI 2022-08-01 for Python: one check after the other against one server.

Each check writes one JSON line, {"check": name} with "error" where it failed. The client is as it is released;
only where it connects to is told. What an attacker would do (a nonce again, an old time) is done by giving the
client another clock or another source of nonces. Messages are taken by the HTTP client of the 4.x series, from
the default instance.
"""

import argparse
import datetime
import json
import sys
import time

from mq_http_sdk.mq_client import MQClient
from mq_http_sdk.mq_exception import MQServerException

from api import REGION, Api, Refused
from openapi_checks import run

PATIENCE_SECONDS = 30
PAUSE_SECONDS = 0.2
# Where messages are sent and received.
MAIN = "default"


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


def written(seconds):
    """A time as the API writes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


class Checks:
    """The checks, by name. Each makes what it needs, under names of its own."""

    def __init__(self, api, make_api, arguments):
        self.api, self._make_api = api, make_api
        self._keys = f"http://{arguments.messages or arguments.endpoint}", arguments.access_key, arguments.secret_key

    def call(self, operation, *names, **parameters):
        return self.api.call(operation, *names, **parameters)

    def refused(self, code, operation, *names, api=None, **parameters):
        try:
            answer = (api or self.api).call(operation, *names, **parameters)
        except Refused as refusal:
            equal(refusal.code, code)
            ensure(refusal.request_id and 400 <= refusal.status < 500, refusal, refusal.status)
            return refusal
        raise AssertionError(f"{operation} was not refused: {answer}")

    def topic(self, name, kind="NORMAL", **more):
        equal(self.call("CreateTopic", MAIN, name, messageType=kind, **more), True)
        return name

    def group(self, name, **more):
        policy = more.pop("policy", {"retryPolicy": "DefaultRetryPolicy", "maxRetryTimes": 16})
        more.setdefault("deliveryOrderType", "Concurrently")
        equal(self.call("CreateConsumerGroup", MAIN, name, consumeRetryPolicy=policy, **more), True)
        return name

    def send(self, topic, body, key, **more):
        return self.call("VerifySendMessage", MAIN, topic, message=body, messageKey=key, messageTag="TagA", **more)

    def consume(self, topic, group):
        def receive():
            try:
                return MQClient(*self._keys).get_consumer("", topic, group).consume_message(1, 3)[0]
            except MQServerException as reason:
                if reason.type != "MessageNotExist":
                    raise
                return None
        message = soon(receive)
        MQClient(*self._keys).get_consumer("", topic, group).ack_message([message.receipt_handle])
        return message

    def order(self, **more):
        order = {
            "serviceCode": "rmq", "seriesCode": "professional", "subSeriesCode": "cluster_ha",
            "paymentType": "PayAsYouGo", "instanceName": "orders_1", "remark": "made by a client",
            "networkInfo": {"vpcInfo": {"vpcId": "vpc-1", "vSwitches": [{"vSwitchId": "vsw-1"}]},
                            "internetInfo": {"internetSpec": "disable", "flowOutType": "uninvolved"}},
            "productInfo": {"msgProcessSpec": "rmq.p2.10xlarge", "autoScaling": True, "sendReceiveRatio": 0.4,
                            "messageRetentionTime": 70},
            "tags": [{"key": "env", "value": "test"}],
        }
        order.update(more)
        return order

    def regions(self):
        equal([region["regionId"] for region in self.call("ListRegions")], [REGION])
        ensure(self.call("ListAvailableZones")[0]["zoneId"])
        first = self.call("ListMetricMeta", pageNumber=1, pageSize=10)
        second = self.call("ListMetricMeta", pageNumber=2, pageSize=10)
        names = [one["metricName"] for page in (first, second) for one in page["list"]]
        equal([len(names), len(set(names)), first["pageSize"]], [20, 20, 10])
        ensure("ConsumerLag" in names, names)

    def instances(self):
        call = self.call
        order = self.order()
        made = call("CreateInstance", clientToken="token-1", **order)
        # The same request again, because its answer was lost.
        equal(call("CreateInstance", clientToken="token-1", **order), made)
        ensure(made.startswith("rmq-"), made)
        found = call("GetInstance", made)
        equal([found["instanceName"], found["remark"], found["status"], found["seriesCode"], found["subSeriesCode"],
               found["paymentType"], found["tags"]],
              ["orders_1", "made by a client", "RUNNING", "professional", "cluster_ha", "PayAsYouGo",
               [{"key": "env", "value": "test"}]])
        product = found["productInfo"]
        equal([product["msgProcessSpec"], product["autoScaling"], product["sendReceiveRatio"],
               product["messageRetentionTime"], product["maxDelayTime"]],
              ["rmq.p2.10xlarge", True, 0.4, 70, 3456000])
        equal(found["networkInfo"]["vpcInfo"]["vpcId"], "vpc-1")
        ensure(found["instanceQuotas"] and found["networkInfo"]["endpoints"][0]["endpointUrl"], found)
        equal(call("UpdateInstance", made, instanceName="orders_2", remark="changed",
                   productInfo={"sendReceiveRatio": 0.6, "messageRetentionTime": 48}), True)
        found = call("GetInstance", made)
        equal([found["instanceName"], found["remark"], found["productInfo"]["sendReceiveRatio"],
               found["productInfo"]["messageRetentionTime"]], ["orders_2", "changed", 0.6, 48])
        listed = call("ListInstances", filter="orders_2", seriesCodes=["professional", "ultimate"], pageSize=1)
        equal([[one["instanceId"] for one in listed["list"]], listed["totalCount"], listed["pageSize"]],
              [[made], 1, 10])
        equal(call("ListInstances", filter="orders_2", seriesCodes=["standard"])["list"], [])
        ensure(call("ListInstances")["totalCount"] >= 2)
        ahead = call("CreateInstance", **self.order(paymentType="Subscription", period=1, periodUnit="Month"))
        ensure(call("GetInstance", ahead)["expireTime"] > written(time.time() + 27 * 86400))
        self.refused("Instance.Subscribed", "DeleteInstance", ahead)
        self.refused("InvalidParameter", "CreateInstance", **self.order(seriesCode="gold"))
        self.refused("InvalidParameter", "CreateInstance", **self.order(productInfo={"msgProcessSpec": "rmq.x"}))
        self.refused("MissingParameter", "CreateInstance", **self.order(paymentType=None))
        self.refused("InvalidParameter", "UpdateInstance", made, productInfo={"sendReceiveRatio": 1.5})
        equal(call("CreateTopic", made, "inside", messageType="FIFO"), True)
        self.refused("Instance.NotEmpty", "DeleteInstance", made)
        equal(call("GetInstance", made)["topicCount"], 1)
        call("DeleteTopic", made, "inside")
        equal(call("DeleteInstance", made), True)
        self.refused("Instance.NotFound", "GetInstance", made)

    def topics(self):
        call = self.call
        for kind in ("NORMAL", "FIFO", "DELAY", "TRANSACTION", "LITE"):
            self.topic(f"topics-{kind}", kind, remark=f"kind {kind}", maxSendTps=1500)
        self.refused("Topic.Existed", "CreateTopic", MAIN, "topics-FIFO", messageType="FIFO")
        self.refused("InvalidParameter", "CreateTopic", MAIN, "topics-x", messageType="SLOW")
        self.refused("InvalidParameter", "CreateTopic", MAIN, "topics x", messageType="NORMAL")
        self.refused("MissingParameter", "CreateTopic", MAIN, "topics-x")
        self.refused("Instance.NotFound", "CreateTopic", "rmq-cn-nothing", "t", messageType="NORMAL")
        found = call("GetTopic", MAIN, "topics-FIFO")
        equal([found["topicName"], found["messageType"], found["remark"], found["maxSendTps"], found["status"]],
              ["topics-FIFO", "FIFO", "kind FIFO", 1500, "RUNNING"])
        ensure(abs(time.time() - datetime.datetime.fromisoformat(found["createTime"] + "+00:00").timestamp()) < 600)
        equal(call("UpdateTopic", MAIN, "topics-FIFO", remark="other", maxSendTps=10), True)
        found = call("GetTopic", MAIN, "topics-FIFO")
        equal([found["remark"], found["maxSendTps"]], ["other", 10])
        call("UpdateTopic", MAIN, "topics-LITE", liteTopicExpiration=60)
        equal(call("GetTopic", MAIN, "topics-LITE")["liteTopicExpiration"], 60)
        self.refused("InvalidParameter", "UpdateTopic", MAIN, "topics-LITE", liteTopicExpiration=5)
        self.refused("InvalidParameter", "UpdateTopic", MAIN, "topics-FIFO", liteTopicExpiration=60)
        listed = call("ListTopics", MAIN, filter="topics-", messageTypes=["FIFO", "DELAY"])
        equal([one["topicName"] for one in listed["list"]], ["topics-DELAY", "topics-FIFO"])
        pages = [call("ListTopics", MAIN, filter="topics-", pageNumber=page, pageSize=2) for page in (1, 2, 3)]
        equal([len(page["list"]) for page in pages], [2, 2, 1])
        equal(pages[0]["totalCount"], 5)
        equal(call("DeleteTopic", MAIN, "topics-DELAY"), True)
        self.refused("Topic.NotFound", "GetTopic", MAIN, "topics-DELAY")
        self.refused("Topic.NotFound", "DeleteTopic", MAIN, "topics-DELAY")

    def groups(self):
        call = self.call
        self.group("GID_groups_1", remark="one", maxReceiveTps=700)
        self.group("GID_groups_2", deliveryOrderType="Orderly",
                   policy={"retryPolicy": "FixedRetryPolicy", "fixedIntervalRetryTime": 3, "maxRetryTimes": 5})
        self.refused("ConsumerGroup.Existed", "CreateConsumerGroup", MAIN, "GID_groups_1",
                     consumeRetryPolicy={"retryPolicy": "DefaultRetryPolicy"}, deliveryOrderType="Concurrently")
        self.refused("InvalidParameter", "CreateConsumerGroup", MAIN, "GID_groups_3",
                     consumeRetryPolicy={"retryPolicy": "FixedRetryPolicy", "fixedIntervalRetryTime": 5},
                     deliveryOrderType="Concurrently")
        self.refused("MissingParameter", "CreateConsumerGroup", MAIN, "GID_groups_3", deliveryOrderType="Orderly")
        found = call("GetConsumerGroup", MAIN, "GID_groups_2")
        equal([found["deliveryOrderType"], found["messageModel"], found["exclusive"], found["consumeRetryPolicy"]],
              ["Orderly", "CLUSTERING", False,
               {"retryPolicy": "FixedRetryPolicy", "fixedIntervalRetryTime": 3, "maxRetryTimes": 5}])
        listed = call("ListConsumerGroups", MAIN, filter="groups_")
        equal([(one["consumerGroupId"], one["remark"]) for one in listed["list"]],
              [("GID_groups_1", "one"), ("GID_groups_2", "")])
        equal(listed["list"][0]["maxReceiveTps"], 700)
        grave = self.topic("groups-grave")
        policy = {"retryPolicy": "DefaultRetryPolicy", "maxRetryTimes": 3, "deadLetterTargetTopic": grave}
        equal(call("UpdateConsumerGroup", MAIN, "GID_groups_1", consumeRetryPolicy=policy, remark="two"), True)
        found = call("GetConsumerGroup", MAIN, "GID_groups_1")
        equal([found["consumeRetryPolicy"], found["remark"]], [policy, "two"])
        self.refused("InvalidParameter", "UpdateConsumerGroup", MAIN, "GID_groups_1", consumeRetryPolicy=policy,
                     deliveryOrderType="Orderly")
        self.topic("groups-lite", "LITE")
        self.group("GID_groups_lite", messageModel="LITE_SELECTIVE", topicName="groups-lite", exclusive=True)
        found = call("GetConsumerGroup", MAIN, "GID_groups_lite")
        equal([found["messageModel"], found["topicName"], found["exclusive"]],
              ["LITE_SELECTIVE", "groups-lite", True])
        equal(call("DeleteConsumerGroup", MAIN, "GID_groups_1"), True)
        self.refused("ConsumerGroup.NotFound", "GetConsumerGroup", MAIN, "GID_groups_1")
        self.refused("ConsumerGroup.NotFound", "DeleteConsumerGroup", MAIN, "GID_groups_1")

    def consumers(self):
        call = self.call
        topic, group = self.topic("consumers-topic"), self.group("GID_consumers")
        for number in range(3):
            self.send(topic, f"hello {number}", "k")
        self.consume(topic, group)
        lag = call("GetConsumerGroupLag", MAIN, group, topicName=topic)
        total = lag["totalLag"]
        equal(total["readyCount"] + total["inflightCount"], 2)
        equal(lag["topicLagMap"][topic]["readyCount"], total["readyCount"])
        span = call("GetConsumeTimespan", MAIN, group, topic)
        ensure(0 < span["minTimestamp"] <= span["maxTimestamp"], span)
        call("ResetConsumeOffset", MAIN, group, topic, resetType="LATEST_OFFSET")
        equal(call("GetConsumerGroupLag", MAIN, group, topicName=topic)["totalLag"]["readyCount"], 0)
        earlier = written(span["minTimestamp"] / 1000 - 60)
        call("ResetConsumeOffset", MAIN, group, topic, resetType="SPECIFIED_TIME", resetTime=earlier)
        equal(call("GetConsumerGroupLag", MAIN, group)["totalLag"]["readyCount"], 3)
        self.refused("InvalidParameter", "ResetConsumeOffset", MAIN, group, topic, resetType="FIRST")
        self.refused("InvalidParameter", "ResetConsumeOffset", MAIN, group, topic, resetType="SPECIFIED_TIME",
                     resetTime="yesterday")
        equal(call("ListConsumerConnections", MAIN, group)["connections"], [])
        self.refused("Client.NotFound", "GetConsumerStack", MAIN, group, clientId="nobody")
        listed = call("ListConsumerGroupSubscriptions", MAIN, group)
        equal([(one["topicName"], one["subscriptionStatus"], one["topicCreated"]) for one in listed],
              [(topic, "OFFLINE", True)])
        listed = call("ListTopicSubscriptions", MAIN, topic)
        equal([(one["consumerGroupId"], one["subscriptionStatus"]) for one in listed], [(group, "OFFLINE")])
        equal(call("GetConsumerGroupSubscription", MAIN, group, topic), [])
        self.refused("Subscription.NotFound", "DeleteConsumerGroupSubscription", MAIN, group, topicName="nothing",
                     filterExpression="*", filterType="TAG")
        self.refused("ConsumerGroup.NotFound", "GetConsumerGroupLag", MAIN, "GID_nobody")

    def messages(self):
        call = self.call
        topic, group = self.topic("messages-topic"), self.group("GID_messages")
        begin = time.time() - 1
        ids = [self.send(topic, f"hello {number} \u4e2d", f"key-{number}", userProperties={"color": "deep blue"})
               for number in range(7)]
        span = {"startTime": written(begin), "endTime": written(time.time() + 1)}
        found = call("ListMessages", MAIN, topic, messageId=ids[3])["list"]
        equal([(one["messageId"], one["body"], one["messageKeys"], one["messageTag"], one["userProperties"])
               for one in found], [(ids[3], "hello 3 \u4e2d", ["key-3"], "TagA", {"color": "deep blue"})])
        found = call("ListMessages", MAIN, topic, messageKey="key-5", **span)
        equal([one["messageId"] for one in found["list"]], [ids[5]])
        first = call("ListMessages", MAIN, topic, pageNumber=1, pageSize=5, **span)
        second = call("ListMessages", MAIN, topic, pageNumber=2, pageSize=5, scrollId=first["scrollId"], **span)
        equal([first["totalCount"], len(first["list"]), len(second["list"])], [7, 5, 2])
        equal(sorted(one["messageId"] for page in (first, second) for one in page["list"]), sorted(ids))
        detail = call("GetMessageDetail", MAIN, topic, ids[0])
        equal([detail["messageType"], detail["bodySize"]], ["NORMAL", len("hello 0 \u4e2d".encode())])
        ensure(detail["systemProperties"], detail)
        equal(self.consume(topic, group).message_body, "hello 0 \u4e2d")
        self.refused("Client.NotFound", "VerifyConsumeMessage", MAIN, topic, ids[0], consumerGroupId=group,
                     clientId="nobody")
        self.refused("Message.NotFound", "GetMessageDetail", MAIN, topic, "0" * 32)
        self.refused("Topic.NotFound", "ListMessages", MAIN, "nothing", messageId=ids[0])
        self.refused("InvalidParameter", "VerifySendMessage", MAIN, topic, message="x", messageGroup="g")
        traces = call("ListTraces", MAIN, topic, queryType="MESSAGE_ID", messageId=ids[1], pageNumber=1, pageSize=10,
                      **span)
        equal([one["messageId"] for one in traces["list"]], [ids[1]])
        trace = call("GetTrace", MAIN, topic, ids[1], **span)
        equal([trace["messageInfo"]["messageId"], trace["topicName"]], [ids[1], topic])
        ordered = self.topic("messages-fifo", "FIFO")
        made = self.send(ordered, "in order", "k", messageGroup="g-1")
        detail = call("GetMessageDetail", MAIN, ordered, made)
        equal([detail["messageGroup"], detail["messageType"]], ["g-1", "FIFO"])
        lite = self.topic("messages-lite", "LITE")
        made = self.send(lite, "light", "k", liteTopicName="one")
        found = call("ListMessages", MAIN, lite, liteTopicName="one", startTime=written(begin))
        equal([(one["messageId"], one["liteTopicName"]) for one in found["list"]], [(made, "one")])
        equal(call("ListMessages", MAIN, lite, liteTopicName="two", startTime=written(begin))["list"], [])

    def inspections(self):
        made = self.call("CreateInstance", **self.order())
        self.call("CreateTopic", made, "read-by-nobody", messageType="NORMAL")
        self.call("VerifySendMessage", made, "read-by-nobody", message="hello")

        def bare(operation, *names, **parameters):
            return self.api.bare(operation, *names, regionId=REGION, **parameters)

        def refused(code, operation, *names, **parameters):
            self.refused(code, operation, *names, regionId=REGION, **parameters)

        templates = bare("ListInspectionTemplates", maxResults=100)
        codes = [template["templateCode"] for template in templates["data"]]
        equal([templates["total"], len(set(codes)), templates["nextToken"]], [len(codes), len(codes), ""])
        first = bare("ListInspectionTemplates", maxResults=5)
        second = bare("ListInspectionTemplates", maxResults=100, nextToken=first["nextToken"])
        equal([one["templateCode"] for page in (first, second) for one in page["data"]], codes)
        found = bare("GetInstanceInspection", made)
        equal([found["configured"], found["instanceId"]], [False, made])
        refused("Inspection.NotFound", "RunInstanceInspection", made, clientToken="early")
        order = {
            "clientToken": "made", "items": [{"templateCode": code, "parameters": {}} for code in codes],
            "resourceScope": {"mode": "ALL"}, "schedule": {"enabled": True, "cron": "0 0 3 * * ?"},
        }
        found = bare("CreateInstanceInspection", made, **order)
        equal(bare("CreateInstanceInspection", made, **order)["revision"], 1)
        equal([found["configured"], found["revision"], len(found["items"])], [True, 1, len(codes)])
        ensure(found["nextRunAt"].endswith("T03:00:00Z"), found)
        refused("Inspection.Existed", "CreateInstanceInspection", made, **{**order, "clientToken": "other"})
        listed = bare("ListInstanceInspections", maxResults=100)["data"]
        equal([one["configured"] for one in listed if one["instanceId"] == made], [True])

        def run(token, **more):
            begun = bare("RunInstanceInspection", made, clientToken=token, **more)["runId"]

            def over():
                found = bare("GetInstanceInspectionRun", made, begun)
                return found if found["status"] in ("Succeeded", "Failed") else None
            return soon(over)

        found = run("first")
        equal([found["status"], found["triggerSource"], found["summary"]["result"]], ["Succeeded", "Manual", "Risk"])
        results = {item["templateCode"]: item["result"] for item in found["items"]}
        equal([results["UnconsumedTopic"], results["QuotaUse"]], ["Risk", "Normal"])
        equal(bare("RunInstanceInspection", made, clientToken="first")["runId"], found["runId"])
        resources = bare("ListInstanceInspectionResources", made, templateCode="UnconsumedTopic")
        equal([(one["name"], one["type"], one["result"]) for one in resources["data"]],
              [("read-by-nobody", "Topic", "Risk")])
        runs = bare("ListInstanceInspectionRuns", made, result="Risk", status="Succeeded")
        equal([one["runId"] for one in runs["data"]], [found["runId"]])
        report = self.api.bare("GetInstanceInspectionReport", runs["data"][0]["reportId"])
        equal([report["inspectionRunId"], report["completion"], report["reportSummary"]["riskCount"]],
              [found["runId"], "Complete", found["summary"]["riskCount"]])
        ensure("read-by-nobody" in report["markdown"] and "<h1>" in report["html"], report)
        change = {"clientToken": "changed", "revision": 1,
                  "items": [{"templateCode": "QuotaUse", "parameters": {"percent": 90}}]}
        found = bare("UpdateInstanceInspection", made, **change)
        equal([found["revision"], found["config"]["items"]], [2, change["items"]])
        refused("Inspection.RevisionConflict", "UpdateInstanceInspection", made, **{**change, "clientToken": "late"})
        found = run("second", itemOverrides=[{"templateCode": "QuotaUse", "parameters": {"percent": 1}}])
        equal([found["items"][0]["effectiveConfig"]["parameters"], found["summary"]["result"]],
              [{"percent": 1}, "Normal"])
        refused("InvalidParameter", "UpdateInstanceInspection", made, clientToken="wrong", revision=2,
                schedule={"enabled": True, "cron": "now"})
        refused("InspectionRun.NotFound", "GetInstanceInspectionRun", made, "run-0")
        equal(bare("DeleteInstanceInspection", made), {"ok": True})
        refused("Inspection.NotFound", "DeleteInstanceInspection", made)
        self.call("DeleteTopic", made, "read-by-nobody")
        self.call("DeleteInstance", made)

    def accounts(self):
        call = self.call
        made = call("CreateInstance", **self.order())
        default = call("GetInstanceAccount", made)
        ensure(len(default["username"]) == 16 and len(default["password"]) == 26, default)
        equal(call("GetInstance", made)["accountInfo"]["username"], default["username"])
        self.refused("Account.LastDefault", "DeleteInstanceAccount", made, default["username"])
        equal(call("CreateInstanceAccount", made, username="bob", password="bob-secret", remark="b"), True)
        self.refused("Account.Existed", "CreateInstanceAccount", made, username="bob", password="x")
        found = call("GetInstanceAccount", made, username="bob")
        equal(found, {"accountStatus": "ENABLE", "password": "bob-secret", "remark": "b", "username": "bob"})
        equal(call("UpdateInstanceAccount", made, "bob", password="other-secret", accountStatus="DISABLE"), True)
        found = call("GetInstanceAccount", made, username="bob")
        equal([found["password"], found["accountStatus"]], ["other-secret", "DISABLE"])
        listed = call("ListInstanceAccount", made, accountType="APACHE", accountStatus="DISABLE")
        equal([one["username"] for one in listed["list"]], ["bob"])
        # Entries of ACL.
        entry = {"resourceType": "Topic", "resourceName": "orders"}
        equal(call("CreateInstanceAcl", made, "bob", actions=["Pub", "Sub"], decision="Allow",
                   ipWhitelists=["10.0.0.0/8"], **entry), True)
        self.refused("Acl.Existed", "CreateInstanceAcl", made, "bob", actions=["Pub"], decision="Allow", **entry)
        self.refused("InvalidParameter", "CreateInstanceAcl", made, "bob", actions=["Pub"], decision="Allow",
                     resourceType="Group", resourceName="g")
        self.refused("Account.NotFound", "CreateInstanceAcl", made, "eve", actions=["Pub"], decision="Allow", **entry)
        found = call("GetInstanceAcl", made, "bob", **entry)
        equal([found["actions"], found["decision"], found["ipWhitelists"], found["resourceName"], found["aclType"]],
              [["Pub", "Sub"], "Allow", ["10.0.0.0/8"], "orders", "APACHE"])
        equal(call("UpdateInstanceAcl", made, "bob", decision="Deny", **entry), True)
        found = call("GetInstanceAcl", made, "bob", **entry)
        equal([found["decision"], found["actions"], found["ipWhitelists"]], ["Deny", ["Pub", "Sub"], ["10.0.0.0/8"]])
        listed = call("ListInstanceAcl", made, filter="orders")
        equal([(one["username"], one["resourceType"]) for one in listed["list"]], [("bob", "Topic")])
        equal(call("DeleteInstanceAcl", made, "bob", **entry), True)
        self.refused("Acl.NotFound", "GetInstanceAcl", made, "bob", **entry)
        equal(call("DeleteInstanceAccount", made, "bob"), True)
        self.refused("Account.NotFound", "GetInstanceAccount", made, username="bob")
        call("DeleteInstance", made)

    def ip_whitelists(self):
        call = self.call
        made = call("CreateInstance", **self.order())
        equal(call("GetInstanceIpWhitelist", made)["ipWhitelists"], [])
        equal(call("CreateInstanceIpWhitelist", made, ipWhitelists=["10.0.0.0/8", "192.0.2.7"]), True)
        equal(call("GetInstanceIpWhitelist", made, ipWhitelists=["192.0.2.7", "192.0.2.8"])["ipWhitelists"],
              ["192.0.2.7"])
        listed = call("ListInstanceIpWhitelist", made, ipWhitelist="10.")
        equal([listed["list"], listed["totalCount"]], [["10.0.0.0/8"], 1])
        self.refused("InvalidParameter", "CreateInstanceIpWhitelist", made, ipWhitelists=["10.0.0.0/33"])
        self.refused("IpWhitelist.NotFound", "DeleteInstanceIpWhitelist", made, ipWhitelist="192.0.2.8")
        equal(call("DeleteInstanceIpWhitelist", made, ipWhitelists=["10.0.0.0/8", "192.0.2.7"]), True)
        equal(call("ListInstanceIpWhitelist", made)["list"], [])
        call("DeleteInstance", made)
        # It holds for messages.
        topic, group = self.topic("whitelist-topic"), self.group("GID_whitelist")
        self.send(topic, "hello", "k")
        call("CreateInstanceIpWhitelist", MAIN, ipWhitelists=["192.0.2.7"])
        try:
            self.consume(topic, group)
            raise AssertionError("who is not in the list was let in")
        except MQServerException as reason:
            equal(reason.type, "AccessDenied")
        finally:
            call("DeleteInstanceIpWhitelist", MAIN, ipWhitelist="192.0.2.7")
        equal(self.consume(topic, group).message_body, "hello")

    def tags(self):
        call = self.call
        made = call("CreateInstance", **self.order())
        place = {"regionId": REGION, "resourceType": "instance", "resourceId": json.dumps([made])}
        equal(call("TagResources", tag=json.dumps([{"key": "team", "value": "a b"}]), **place), True)
        found = call("ListTagResources", **place)["tagResources"]
        equal([(one["resourceId"], one["tagKey"], one["tagValue"]) for one in found],
              [(made, "env", "test"), (made, "team", "a b")])
        wanted = json.dumps([{"key": "team", "value": "a b"}])
        equal([one["instanceId"] for one in call("ListInstances", tags=wanted)["list"]], [made])
        equal(call("UntagResources", tagKey=json.dumps(["env"]), **place), True)
        equal([one["tagKey"] for one in call("ListTagResources", **place)["tagResources"]], ["team"])
        equal(call("UntagResources", all=True, **place), True)
        equal(call("ListTagResources", **place)["tagResources"], [])
        self.refused("InvalidParameter", "TagResources", tag=json.dumps([{"key": "acs:x", "value": ""}]), **place)
        self.refused("InvalidParameter", "TagResources", tag="x", **place)
        self.refused("InvalidParameter", "TagResources", tag=wanted, **{**place, "regionId": "elsewhere"})
        place["resourceId"] = made
        equal(call("ChangeResourceGroup", resourceGroupId="rg-1", **place), True)
        equal([one["instanceId"] for one in call("ListInstances", resourceGroupId="rg-1")["list"]], [made])
        call("DeleteInstance", made)
        self.refused("Instance.NotFound", "TagResources", tag=wanted, **place)

    def access(self):
        wrong = self._make_api(secret_key="not-the-secret")
        self.refused("SignatureDoesNotMatch", "ListRegions", api=wrong)
        self.refused("InvalidAccessKeyId.NotFound", "ListRegions", api=self._make_api(access_key="nobody"))
        alice = self._make_api(access_key="alice", secret_key="alice-secret")
        equal(self.refused("NoPermission", "ListRegions", api=alice).status, 403)
        # She has a policy for one topic.
        self.topic("access-alice")
        alice.call("GetTopic", MAIN, "access-alice")
        self.refused("NoPermission", "DeleteTopic", MAIN, "access-alice", api=alice)
        self.topic("access-other")
        self.refused("NoPermission", "GetTopic", MAIN, "access-other", api=alice)
        with self.api.fixed_nonce("the-same-nonce"):
            self.call("ListRegions")
            self.refused("SignatureNonceUsed", "ListRegions")
        with self.api.clock_behind(minutes=16):
            self.refused("InvalidTimeStamp.Expired", "ListRegions")
        with self.api.clock_behind(minutes=14):
            self.call("ListRegions")
        # Characters that have to be escaped are signed as they are sent, in paths and in queries.
        remark = "a+b c%20/~*'()!&=\u4e2d"
        self.topic("access-topic", remark=remark)
        listed = self.call("ListTopics", MAIN, filter=remark)
        equal([one["topicName"] for one in listed["list"]], ["access-topic"])
        self.refused("InvalidParameter", "GetTopic", MAIN, "a b/c")
        self.refused("Operation.NotSupported", "ListDisasterRecoveryPlans", pageNumber=1, pageSize=10)


NAMES = ("regions", "instances", "topics", "groups", "consumers", "messages", "accounts", "ip-whitelists", "tags",
         "inspections", "access")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client")
    parser.add_argument("--endpoint", required=True)
    # Where messages of the default instance are taken, if elsewhere.
    parser.add_argument("--messages")
    parser.add_argument("--access-key", required=True)
    parser.add_argument("--secret-key", required=True)
    parser.add_argument("checks", nargs="*", default=NAMES)
    arguments = parser.parse_args()

    def make_api(access_key=arguments.access_key, secret_key=arguments.secret_key):
        return Api(arguments.endpoint, access_key, secret_key)
    run(Checks(make_api(), make_api, arguments), arguments.checks)


if __name__ == "__main__":
    sys.exit(main())
