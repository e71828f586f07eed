// Drives the ONS HTTP client for Node.js. The line protocol is in ../README.md.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { MQClient, MessageProperties } = createRequire(import.meta.url)('@aliyunmq/mq-http-sdk');

const AWAIT_SECONDS = 3;
const BATCH = 16;
// Between a receive that failed and the next one.
const PAUSE_MS = 100;
// Before a half message is asked about; its own end comes sooner.
const CHECK_SECONDS = 3;

const { values: { endpoint } } = parseArgs({ options: { endpoint: { type: 'string' } } });
if (!endpoint) {
  console.error('usage: driver.js --endpoint HOST:PORT');
  process.exit(2);
}

// Libraries that print must not mix with the events.
for (const method of [ 'log', 'info', 'debug' ]) console[method] = console.error;

function write(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

function unsupported(what) {
  throw new Error(`unsupported: the client has no ${what}`);
}

function client({ access_key = 'any', secret_key = 'any', trace = false }) {
  if (trace) unsupported('trace');
  return new MQClient(`http://${endpoint}`, access_key, secret_key);
}

const keysOf = message => message.MessageKey?.split(' ') ?? [];
const attemptOf = message => Number(message.ConsumedTimes);

function received(topic, message) {
  write('received', {
    topic,
    id: message.MessageId,
    keys: keysOf(message),
    tag: message.MessageTag || undefined,
    properties: message.Properties,
    body_base64: Buffer.from(message.MessageBody).toString('base64'),
    attempt: attemptOf(message),
  });
}

// Whether this delivery must not be acknowledged.
function fails({ hold, fail }, message) {
  const named = prefix => prefix !== undefined && keysOf(message).some(key => key.startsWith(prefix));
  return named(fail) || (attemptOf(message) === 1 && named(hold));
}

// Does something again and again until it is stopped.
function loop(step) {
  let running = true;
  const run = async () => {
    while (running) {
      try {
        await step();
      } catch (reason) {
        if (reason.Code === 'MessageNotExist') continue;
        write('warning', { error: String(reason) });
        await pause(PAUSE_MS);
      }
    }
  };
  const ended = run();
  return async () => {
    running = false;
    await ended;
  };
}

// An acknowledgement that fails for some handles is no error of the library: it returns them.
function expectDone(answer) {
  if (answer.body) throw new Error(JSON.stringify(answer.body));
}

let producing;
let stopChecks = async () => {};
let stopReceives;

async function startProducer({ group, topics, kind = 'normal', namespace, ...session }) {
  const connection = client(session);
  producing = {
    normal: topic => connection.getProducer(namespace, topic),
    transactional: topic => connection.getTransProducer(namespace, topic, group),
  };
  if (kind === 'transaction') stopChecks = loop(() => check(producing.transactional(topics[0])));
}

async function check(producer) {
  const { body } = await producer.consumeHalfMessage(BATCH, AWAIT_SECONDS);
  for (const half of body) {
    write('transaction_checked', { key: keysOf(half)[0] });
    const { check: answer } = half.Properties;
    if (answer === 'commit') expectDone(await producer.commit(half.ReceiptHandle));
    if (answer === 'rollback') expectDone(await producer.rollback(half.ReceiptHandle));
  }
}

function propertiesOf({ keys, properties = {}, sharding_key, delay_level, delay_ms, deliver_at_ms, priority, lite_topic }) {
  if (delay_level !== undefined) unsupported('delay levels');
  if (priority !== undefined) unsupported('priorities');
  if (lite_topic !== undefined) unsupported('LiteTopics');
  const all = new MessageProperties();
  all.messageKey(keys.join(' '));
  if (sharding_key !== undefined) all.shardingKey(sharding_key);
  if (delay_ms !== undefined) all.startDeliverTime(Date.now() + delay_ms);
  if (deliver_at_ms !== undefined) all.startDeliverTime(deliver_at_ms);
  for (const [ name, value ] of Object.entries(properties)) all.putProperty(name, value);
  return all;
}

async function report(command, publish) {
  const key = command.keys[0];
  const properties = propertiesOf(command);
  const body = Buffer.from(command.body_base64, 'base64').toString();
  try {
    const { body: sent } = await publish(body, command.tag, properties);
    write('sent', { key, id: sent.MessageId });
  } catch (reason) {
    write('send_failed', { key, error: String(reason) });
  }
}

function send(command) {
  return report(command, (...message) => producing.normal(command.topic).publishMessage(...message));
}

function sendTransaction(command) {
  const producer = producing.transactional(command.topic);
  return report(command, async (body, tag, properties) => {
    properties.transCheckImmunityTime(CHECK_SECONDS);
    const sent = await producer.publishMessage(body, tag, properties);
    const handle = sent.body.ReceiptHandle;
    if (command.local === 'commit') expectDone(await producer.commit(handle));
    if (command.local === 'rollback') expectDone(await producer.rollback(handle));
    return sent;
  });
}

async function sendMany({ topic, prefix, count, concurrency, sharding_key }) {
  let next = 0;
  const sender = async () => {
    while (next < count) {
      const number = next++;
      const key = `${prefix}${number}`;
      const body_base64 = Buffer.from(key).toString('base64');
      await send({ topic, keys: [ key ], body_base64, sharding_key: sharding_key?.replace('#', number) });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sender));
}

async function startConsumer(command) {
  const { kind, topic, group, tags, sql, model, namespace, ordered } = command;
  if (kind !== 'simple') unsupported(`consumer of kind ${kind}`);
  if (sql !== undefined) unsupported('SQL92 filters');
  if (model === 'broadcasting') unsupported('broadcasting');
  if (command.replies) unsupported('replies');
  const consumer = client(command).getConsumer(namespace, topic, group, tags);
  stopReceives = loop(async () => {
    const { body } = ordered
      ? await consumer.consumeMessageOrderly(BATCH, AWAIT_SECONDS)
      : await consumer.consumeMessage(BATCH, AWAIT_SECONDS);
    for (const message of body) {
      received(topic, message);
      if (fails(command, message)) continue;
      const keys = keysOf(message);
      try {
        expectDone(await consumer.ackMessage([ message.ReceiptHandle ]));
        write('acked', { keys });
      } catch (reason) {
        write('ack_failed', { keys, error: String(reason) });
      }
    }
  });
}

const operations = {
  'producer.start': startProducer,
  'producer.stop': () => stopChecks(),
  send,
  send_many: sendMany,
  send_batch: () => unsupported('batches'),
  send_transaction: sendTransaction,
  request: () => unsupported('requests'),
  recall: () => unsupported('recall'),
  'consumer.start': startConsumer,
  'consumer.seek': () => unsupported('consumer that polls'),
  'consumer.stop': () => stopReceives(),
  exit: async () => {},
};

write('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    await operations[command.op](command);
    write('done', { command: command.command });
  } catch (reason) {
    console.error(reason);
    write('failed', { command: command.command, error: String(reason) });
  }
  if (command.op === 'exit') break;
}
// A loop that nobody stopped must not keep the process; what was written must still leave.
process.stdout.write('', () => process.exit(0));
