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

const api = new Api();
const POLICY = { retryPolicy: "DefaultRetryPolicy", maxRetryTimes: 16 };

const checks = {
  async regions() {
    const regions = await api.call("ListRegions");
    assert.deepEqual(regions.map((region) => region.regionId), [REGION]);
    const page = await api.call("ListMetricMeta", { pageNumber: 1, pageSize: 10 });
    assert.equal(page.list.length, 10);
  },

  async instances() {
    const made = await api.call("CreateInstance", {
      serviceCode: "rmq", seriesCode: "standard", subSeriesCode: "cluster_ha", paymentType: "PayAsYouGo",
      instanceName: "node_1", clientToken: "node-token",
      networkInfo: new models.CreateInstanceRequestNetworkInfo({
        vpcInfo: new models.CreateInstanceRequestNetworkInfoVpcInfo({ vpcId: "vpc-1" }),
        internetInfo: new models.CreateInstanceRequestNetworkInfoInternetInfo({
          internetSpec: "disable", flowOutType: "uninvolved",
        }),
      }),
      productInfo: new models.CreateInstanceRequestProductInfo({ msgProcessSpec: "rmq.s2.2xlarge" }),
    });
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
    const consumeRetryPolicy = new models.CreateConsumerGroupRequestConsumeRetryPolicy(POLICY);
    const made = { consumeRetryPolicy, deliveryOrderType: "Concurrently" };
    assert.equal(await api.call("CreateConsumerGroup", MAIN, "GID_node", made), true);
    const found = await api.call("GetConsumerGroup", MAIN, "GID_node");
    assert.deepEqual({ ...found.consumeRetryPolicy }, POLICY);
    assert.equal((await api.call("GetConsumerGroupLag", MAIN, "GID_node", {})).totalLag.readyCount, 0);
    assert.equal(await api.call("DeleteConsumerGroup", MAIN, "GID_node"), true);
    await api.refused("ConsumerGroup.NotFound", "GetConsumerGroup", MAIN, "GID_node");
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
  },

  async access() {
    await new Api(values["access-key"], "wrong").refused("SignatureDoesNotMatch", "ListRegions");
    await new Api("nobody").refused("InvalidAccessKeyId.NotFound", "ListRegions");
    await new Api("alice", "alice-secret").refused("NoPermission", "ListRegions");
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
