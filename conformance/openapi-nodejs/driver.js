// Drives the client of the OpenAPI 2022-08-01 for Node.js: one check after the other against one server. Each
// check writes one JSON line, {"check": name} with "error" where it failed. The client is as it is released; only
// where it connects to is told.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const require = createRequire(import.meta.url);
const { default: Client, ...models } = require("@alicloud/rocketmq20220801");
const { $OpenApiUtil } = require("@alicloud/openapi-core");

const REGION = "conformance";
const MAIN = "default";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    client: { type: "string" },
    endpoint: { type: "string" },
    "access-key": { type: "string" },
    "secret-key": { type: "string" },
  },
});

// What the checks have called; the last one looks at it.
const called = new Set();

class Api {
  constructor(accessKeyId = values["access-key"], accessKeySecret = values["secret-key"]) {
    const config = { accessKeyId, accessKeySecret, endpoint: values.endpoint, regionId: REGION, protocol: "http" };
    this.client = new Client(new $OpenApiUtil.Config(config));
  }

  // The `data` of the answer.
  async call(operation, ...given) {
    const fields = typeof given.at(-1) === "object" ? given.pop() : {};
    const Request = models[`${operation}Request`];
    const name = operation[0].toLowerCase() + operation.slice(1);
    called.add(name);
    const request = Request ? [new Request(fields)] : [];
    const { body } = await this.client[name](...given, ...request);
    assert.ok(body.requestId && body.success === true && body.httpStatusCode === 200, JSON.stringify(body));
    return body.data;
  }

  async refused(code, operation, ...given) {
    const error = await this.call(operation, ...given).then(
      (answer) => assert.fail(`${operation} was not refused: ${JSON.stringify(answer)}`),
      (error) => error,
    );
    assert.equal(error.code, code, error.stack);
  }
}

// Runs `action` with the client's own source of nonces or times replaced.
async function withUtility(name, replacement, action) {
  const utility = $OpenApiUtil.default;
  const own = utility[name];
  utility[name] = replacement;
  try {
    await action();
  } finally {
    utility[name] = own;
  }
}

const clockBehind = (minutes, action) => {
  const then = new Date(Date.now() - minutes * 60_000).toISOString().replace(/\.\d+/, "");
  return withUtility("getTimestamp", () => then, action);
};

// A time as the API writes it.
const written = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

const api = new Api();
const POLICY = { retryPolicy: "DefaultRetryPolicy", maxRetryTimes: 16 };

const order = (instanceName) => ({
  serviceCode: "rmq", seriesCode: "standard", subSeriesCode: "cluster_ha", paymentType: "PayAsYouGo", instanceName,
  networkInfo: new models.CreateInstanceRequestNetworkInfo({
    vpcInfo: new models.CreateInstanceRequestNetworkInfoVpcInfo({ vpcId: "vpc-1" }),
    internetInfo: new models.CreateInstanceRequestNetworkInfoInternetInfo({
      internetSpec: "disable", flowOutType: "uninvolved",
    }),
  }),
  productInfo: new models.CreateInstanceRequestProductInfo({ msgProcessSpec: "rmq.s2.2xlarge" }),
});

// An instance for one check.
async function withInstance(name, action) {
  const made = await api.call("CreateInstance", order(name));
  await action(made);
  assert.equal(await api.call("DeleteInstance", made), true);
}

const group = (name) => api.call("CreateConsumerGroup", MAIN, name, {
  consumeRetryPolicy: new models.CreateConsumerGroupRequestConsumeRetryPolicy(POLICY),
  deliveryOrderType: "Concurrently",
});

const checks = {
  async regions() {
    const regions = await api.call("ListRegions");
    assert.deepEqual(regions.map((region) => region.regionId), [REGION]);
    assert.ok((await api.call("ListAvailableZones"))[0].zoneId);
    const page = await api.call("ListMetricMeta", { pageNumber: 1, pageSize: 10 });
    assert.equal(page.list.length, 10);
  },

  async instances() {
    const made = await api.call("CreateInstance", { ...order("node_1"), clientToken: "node-token" });
    assert.equal(await api.call("CreateInstance", { ...order("node_1"), clientToken: "node-token" }), made);
    const found = await api.call("GetInstance", made);
    assert.deepEqual([found.instanceName, found.status, found.seriesCode], ["node_1", "RUNNING", "standard"]);
    const listed = await api.call("ListInstances", { filter: "node_1", seriesCodes: ["standard", "ultimate"] });
    assert.deepEqual(listed.list.map((one) => one.instanceId), [made]);
    assert.equal(await api.call("UpdateInstance", made, { remark: "changed" }), true);
    assert.equal((await api.call("GetInstance", made)).remark, "changed");
    assert.equal(await api.call("DeleteInstance", made), true);
    await api.refused("Instance.NotFound", "GetInstance", made);
  },

  async topics() {
    assert.equal(await api.call("CreateTopic", MAIN, "node-topic", { messageType: "NORMAL", remark: "n" }), true);
    await api.refused("Topic.Existed", "CreateTopic", MAIN, "node-topic", { messageType: "NORMAL" });
    await api.call("UpdateTopic", MAIN, "node-topic", { remark: "a+b c%20/~*'()!&=\u4e2d" });
    const found = await api.call("GetTopic", MAIN, "node-topic");
    assert.deepEqual([found.messageType, found.remark], ["NORMAL", "a+b c%20/~*'()!&=\u4e2d"]);
    const listed = await api.call("ListTopics", MAIN, { filter: "~*'()!&=\u4e2d", messageTypes: ["NORMAL", "FIFO"] });
    assert.deepEqual(listed.list.map((one) => one.topicName), ["node-topic"]);
    assert.equal(await api.call("DeleteTopic", MAIN, "node-topic"), true);
    await api.refused("Topic.NotFound", "GetTopic", MAIN, "node-topic");
  },

  async groups() {
    assert.equal(await group("GID_node"), true);
    const found = await api.call("GetConsumerGroup", MAIN, "GID_node");
    assert.deepEqual({ ...found.consumeRetryPolicy }, POLICY);
    assert.equal((await api.call("GetConsumerGroupLag", MAIN, "GID_node", {})).totalLag.readyCount, 0);
    const changed = { remark: "changed", consumeRetryPolicy: new models.UpdateConsumerGroupRequestConsumeRetryPolicy({
      retryPolicy: "FixedRetryPolicy", fixedIntervalRetryTime: 30, maxRetryTimes: 5,
    }) };
    assert.equal(await api.call("UpdateConsumerGroup", MAIN, "GID_node", changed), true);
    const listed = await api.call("ListConsumerGroups", MAIN, { filter: "GID_node" });
    assert.deepEqual(listed.list.map((one) => [one.consumerGroupId, one.remark]), [["GID_node", "changed"]]);
    const { consumeRetryPolicy } = await api.call("GetConsumerGroup", MAIN, "GID_node");
    assert.deepEqual({ ...consumeRetryPolicy }, { ...changed.consumeRetryPolicy });
    assert.equal(await api.call("DeleteConsumerGroup", MAIN, "GID_node"), true);
    await api.refused("ConsumerGroup.NotFound", "GetConsumerGroup", MAIN, "GID_node");
  },

  async consumers() {
    await api.call("CreateTopic", MAIN, "node-consumers", { messageType: "NORMAL" });
    await group("GID_node_consumers");
    const place = [MAIN, "GID_node_consumers", "node-consumers"];
    for (const message of ["a", "b", "c"]) {
      await api.call("VerifySendMessage", MAIN, "node-consumers", { message });
    }
    const ready = async () => {
      const lag = await api.call("GetConsumerGroupLag", MAIN, "GID_node_consumers", { topicName: "node-consumers" });
      return lag.totalLag.readyCount;
    };
    await api.call("ResetConsumeOffset", ...place, { resetType: "LATEST_OFFSET" });
    assert.equal(await ready(), 0);
    const span = await api.call("GetConsumeTimespan", ...place);
    assert.ok(span.minTimestamp > 0 && span.minTimestamp <= span.maxTimestamp, JSON.stringify(span));
    const resetTime = written(span.minTimestamp - 60_000);
    await api.call("ResetConsumeOffset", ...place, { resetType: "SPECIFIED_TIME", resetTime });
    assert.equal(await ready(), 3);
    await api.refused("InvalidParameter", "ResetConsumeOffset", ...place, { resetType: "FIRST" });
    const { connections } = await api.call("ListConsumerConnections", MAIN, "GID_node_consumers", {});
    assert.deepEqual(connections, []);
    const nobody = { clientId: "nobody" };
    await api.refused("Client.NotFound", "GetConsumerStack", MAIN, "GID_node_consumers", nobody);
    const subscriptions = await api.call("ListConsumerGroupSubscriptions", MAIN, "GID_node_consumers", {});
    assert.deepEqual(
      subscriptions.map((one) => [one.topicName, one.subscriptionStatus]), [["node-consumers", "OFFLINE"]],
    );
    const subscribers = await api.call("ListTopicSubscriptions", MAIN, "node-consumers");
    assert.deepEqual(
      subscribers.map((one) => [one.consumerGroupId, one.subscriptionStatus]), [["GID_node_consumers", "OFFLINE"]],
    );
    assert.deepEqual(await api.call("GetConsumerGroupSubscription", ...place), []);
    const nothing = { topicName: "nothing", filterExpression: "*", filterType: "TAG" };
    await api.refused(
      "Subscription.NotFound", "DeleteConsumerGroupSubscription", MAIN, "GID_node_consumers", nothing,
    );
  },

  async messages() {
    await api.call("CreateTopic", MAIN, "node-messages", { messageType: "NORMAL" });
    const id = await api.call("VerifySendMessage", MAIN, "node-messages", {
      message: "hello \u4e2d", messageKey: "k", messageTag: "TagA", userProperties: { color: "blue" },
    });
    const found = await api.call("ListMessages", MAIN, "node-messages", { messageKey: "k" });
    assert.deepEqual(found.list.map((one) => [one.messageId, one.body]), [[id, "hello \u4e2d"]]);
    const detail = await api.call("GetMessageDetail", MAIN, "node-messages", id);
    assert.deepEqual([detail.messageTag, detail.userProperties.color], ["TagA", "blue"]);
    await api.refused("Message.NotFound", "GetMessageDetail", MAIN, "node-messages", "0".repeat(32));
    const startTime = written(Date.now() - 600_000);
    const span = { startTime, endTime: written(Date.now() + 60_000) };
    const query = { queryType: "MESSAGE_ID", messageId: id, pageNumber: 1, pageSize: 10, ...span };
    const traces = await api.call("ListTraces", MAIN, "node-messages", query);
    assert.deepEqual(traces.list.map((one) => one.messageId), [id]);
    const trace = await api.call("GetTrace", MAIN, "node-messages", id, span);
    assert.deepEqual([trace.messageInfo.messageId, trace.topicName], [id, "node-messages"]);
    await group("GID_node_messages");
    const nobody = { consumerGroupId: "GID_node_messages", clientId: "nobody" };
    await api.refused("Client.NotFound", "VerifyConsumeMessage", MAIN, "node-messages", id, nobody);
  },

  async accounts() {
    await withInstance("node_accounts", async (made) => {
      const first = await api.call("GetInstanceAccount", made, {});
      assert.ok(first.username && first.password);
      await api.refused("Account.LastDefault", "DeleteInstanceAccount", made, first.username);
      const bob = { username: "bob", password: "bob-secret", remark: "b" };
      assert.equal(await api.call("CreateInstanceAccount", made, bob), true);
      await api.refused("Account.Existed", "CreateInstanceAccount", made, bob);
      const changed = { password: "other-secret", accountStatus: "DISABLE" };
      assert.equal(await api.call("UpdateInstanceAccount", made, "bob", changed), true);
      const found = await api.call("GetInstanceAccount", made, { username: "bob" });
      assert.deepEqual({ ...found }, { ...changed, remark: "b", username: "bob" });
      const listed = await api.call("ListInstanceAccount", made, { accountType: "APACHE", accountStatus: "DISABLE" });
      assert.deepEqual(listed.list.map((one) => one.username), ["bob"]);

      const entry = { resourceType: "Topic", resourceName: "orders" };
      const granted = { ...entry, actions: ["Pub", "Sub"], decision: "Allow", ipWhitelists: ["10.0.0.0/8"] };
      assert.equal(await api.call("CreateInstanceAcl", made, "bob", granted), true);
      await api.refused("Acl.Existed", "CreateInstanceAcl", made, "bob", granted);
      assert.equal(await api.call("UpdateInstanceAcl", made, "bob", { ...entry, decision: "Deny" }), true);
      const acl = await api.call("GetInstanceAcl", made, "bob", entry);
      assert.deepEqual([acl.decision, acl.actions, acl.ipWhitelists], ["Deny", ["Pub", "Sub"], ["10.0.0.0/8"]]);
      const acls = await api.call("ListInstanceAcl", made, { filter: "orders" });
      assert.deepEqual(acls.list.map((one) => [one.username, one.resourceType]), [["bob", "Topic"]]);
      assert.equal(await api.call("DeleteInstanceAcl", made, "bob", entry), true);
      await api.refused("Acl.NotFound", "GetInstanceAcl", made, "bob", entry);
      assert.equal(await api.call("DeleteInstanceAccount", made, "bob"), true);
      await api.refused("Account.NotFound", "GetInstanceAccount", made, { username: "bob" });
    });
  },

  async "ip-whitelists"() {
    await withInstance("node_whitelists", async (made) => {
      const ipWhitelists = ["10.0.0.0/8", "192.0.2.7"];
      assert.equal(await api.call("CreateInstanceIpWhitelist", made, { ipWhitelists }), true);
      assert.deepEqual((await api.call("GetInstanceIpWhitelist", made, {})).ipWhitelists, ipWhitelists);
      const listed = await api.call("ListInstanceIpWhitelist", made, { ipWhitelist: "10." });
      assert.deepEqual([listed.list, listed.totalCount], [["10.0.0.0/8"], 1]);
      const wrong = { ipWhitelists: ["10.0.0.0/33"] };
      await api.refused("InvalidParameter", "CreateInstanceIpWhitelist", made, wrong);
      assert.equal(await api.call("DeleteInstanceIpWhitelist", made, { ipWhitelists }), true);
      assert.deepEqual((await api.call("ListInstanceIpWhitelist", made, {})).list, []);
    });
  },

  async tags() {
    await withInstance("node_tags", async (made) => {
      const place = { regionId: REGION, resourceType: "instance", resourceId: JSON.stringify([made]) };
      const tag = JSON.stringify([{ key: "team", value: "a b" }]);
      assert.equal(await api.call("TagResources", { tag, ...place }), true);
      const { tagResources } = await api.call("ListTagResources", place);
      assert.deepEqual(
        tagResources.map((one) => [one.resourceId, one.tagKey, one.tagValue]), [[made, "team", "a b"]],
      );
      const tagged = await api.call("ListInstances", { tags: tag });
      assert.deepEqual(tagged.list.map((one) => one.instanceId), [made]);
      assert.equal(await api.call("UntagResources", { tagKey: JSON.stringify(["team"]), ...place }), true);
      assert.deepEqual((await api.call("ListTagResources", place)).tagResources, []);
      const moved = { ...place, resourceId: made, resourceGroupId: "rg-node" };
      assert.equal(await api.call("ChangeResourceGroup", moved), true);
      const grouped = await api.call("ListInstances", { resourceGroupId: "rg-node" });
      assert.deepEqual(grouped.list.map((one) => one.instanceId), [made]);
    });
  },

  async access() {
    await new Api(values["access-key"], "wrong").refused("SignatureDoesNotMatch", "ListRegions");
    await new Api("nobody").refused("InvalidAccessKeyId.NotFound", "ListRegions");
    await new Api("alice", "alice-secret").refused("NoPermission", "ListRegions");
    await withUtility("getNonce", () => "the-same-nonce-of-node", async () => {
      await api.call("ListRegions");
      await api.refused("SignatureNonceUsed", "ListRegions");
    });
    await clockBehind(16, () => api.refused("InvalidTimeStamp.Expired", "ListRegions"));
    await clockBehind(14, () => api.call("ListRegions"));
  },

  // What no check has called is what the server says it does not have.
  async others() {
    const methods = Object.getOwnPropertyNames(Client.prototype).filter(
      (name) => api.client[`${name}WithOptions`] && !called.has(name),
    );
    const unexpected = [];
    for (const name of methods) {
      const operation = name[0].toUpperCase() + name.slice(1);
      const Request = models[`${operation}Request`];
      const texts = Array(api.client[name].length - (Request ? 1 : 0)).fill("1");
      const request = Request ? [new Request({})] : [];
      const code = await api.client[name](...texts, ...request).then(() => "taken", (error) => error.code);
      if (code !== "Operation.NotSupported") unexpected.push(`${operation}: ${code}`);
    }
    assert.deepEqual(unexpected, []);
    assert.ok(methods.length > 0, "every operation of the client was called: this check can go");
  },
};

for (const name of positionals.length ? positionals : Object.keys(checks)) {
  const line = { check: name };
  try {
    await checks[name]();
  } catch (error) {
    console.error(error);
    line.error = String(error);
  }
  console.log(JSON.stringify(line));
}
