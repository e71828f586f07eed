// Command remoting drives the Remoting client for Go.
// The line protocol is in ../../README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"carrack/conformance/go/protocol"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/google/uuid"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
)

const (
	traceTopic = "RMQ_SYS_TRACE_TOPIC"
	// uncompressed is more than the largest body of a scenario.
	uncompressed = 64 << 20
	poll         = time.Second
	pause        = 5 * time.Millisecond
	listenersEnd = 10 * time.Second
	keySeparator = " "
	// requestAttempt is how long one request waits: the server does not know a producer before its first heartbeat, a
	// second after it was started, and a reply that comes earlier is lost.
	requestAttempt = 2 * time.Second
)

type driver struct {
	resolver      primitive.NsResolver
	events        *protocol.Events
	producer      rocketmq.Producer
	transactional rocketmq.TransactionProducer
	push          rocketmq.PushConsumer
	pull          rocketmq.PullConsumer
	stop          chan struct{}
	stopped       chan struct{}
}

// CarryOut does what a command says.
func (d *driver) CarryOut(c protocol.Command) error {
	switch c.Op {
	case "producer.start":
		return d.startProducer(c)
	case "producer.stop":
		return d.stopProducer()
	case "send":
		return d.send(c)
	case "send_many":
		c.Many(func(one protocol.Command) { _ = d.send(one) })
		return nil
	case "send_batch":
		return d.sendBatch(c)
	case "send_transaction":
		return d.sendTransaction(c)
	case "request":
		return d.request(c)
	case "consumer.start":
		return d.startConsumer(c)
	case "consumer.stop":
		return d.stopConsumer()
	}
	return protocol.Unsupported(c.Op)
}

func credentials(c protocol.Command) primitive.Credentials {
	return primitive.Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey}
}

func (d *driver) startProducer(c protocol.Command) error {
	options := []producer.Option{
		producer.WithGroupName(c.Group),
		// Producers and consumers with one name would be one client.
		producer.WithInstanceName(uuid.NewString()),
		producer.WithNsResolver(d.resolver),
		producer.WithNamespace(c.Namespace),
		producer.WithCredentials(credentials(c)),
		producer.WithQueueSelector(selector{ordinary: producer.NewRoundRobinQueueSelector(), hash: producer.NewHashQueueSelector()}),
	}
	if c.Uncompressed {
		options = append(options, producer.WithCompressMsgBodyOverHowmuch(uncompressed))
	}
	if c.Trace {
		options = append(options, producer.WithTrace(&primitive.TraceConfig{
			TraceTopic:  traceTopic,
			GroupName:   c.Group,
			Access:      primitive.Local,
			Resolver:    d.resolver,
			Credentials: credentials(c),
		}))
	}
	if c.Kind == "transaction" {
		transactional, err := rocketmq.NewTransactionProducer(&listener{events: d.events}, options...)
		if err != nil {
			return err
		}
		d.transactional = transactional
		return transactional.Start()
	}
	plain, err := rocketmq.NewProducer(options...)
	if err != nil {
		return err
	}
	d.producer = plain
	return plain.Start()
}

func (d *driver) stopProducer() error {
	if d.transactional != nil {
		return d.transactional.Shutdown()
	}
	return d.producer.Shutdown()
}

// selector chooses by the sharding key where there is one: the library's own selector by hash does not take messages
// without.
type selector struct{ ordinary, hash producer.QueueSelector }

func (s selector) Select(m *primitive.Message, queues []*primitive.MessageQueue, last string) *primitive.MessageQueue {
	if m.GetShardingKey() != "" {
		return s.hash.Select(m, queues, last)
	}
	return s.ordinary.Select(m, queues, last)
}

// listener answers by the message alone. The local transaction ends as the property says that the driver adds.
type listener struct{ events *protocol.Events }

const local = "driver-local"

func resolution(word string) primitive.LocalTransactionState {
	switch word {
	case "commit":
		return primitive.CommitMessageState
	case "rollback":
		return primitive.RollbackMessageState
	}
	return primitive.UnknowState
}

func (l *listener) ExecuteLocalTransaction(message *primitive.Message) primitive.LocalTransactionState {
	return resolution(message.GetProperty(local))
}

func (l *listener) CheckLocalTransaction(message *primitive.MessageExt) primitive.LocalTransactionState {
	l.events.Write("transaction_checked", protocol.Fields{"key": keysOf(message)[0]})
	return resolution(message.GetProperty("check"))
}

func message(c protocol.Command) (*primitive.Message, error) {
	if c.Priority != nil || c.LiteTopic != "" {
		return nil, protocol.Unsupported("this type of message")
	}
	if _, timed := c.DeliverAt(); timed {
		return nil, protocol.Unsupported("points in time")
	}
	outgoing := primitive.NewMessage(c.Topic, c.Body)
	outgoing.WithProperties(c.Properties)
	outgoing.WithKeys(c.Keys)
	if c.Tag != "" {
		outgoing.WithTag(c.Tag)
	}
	if c.ShardingKey != "" {
		outgoing.WithShardingKey(c.ShardingKey)
	}
	if c.DelayLevel != 0 {
		outgoing.WithDelayTimeLevel(c.DelayLevel)
	}
	return outgoing, nil
}

// send reports a failure of the message as an event; only that the library has no such message is an error.
func (d *driver) send(c protocol.Command) error {
	outgoing, err := message(c)
	if err != nil {
		return err
	}
	sent, err := d.producer.SendSync(context.Background(), outgoing)
	d.report(c.Keys[0], sent, err)
	return nil
}

func (d *driver) sendBatch(c protocol.Command) error {
	batch := make([]*primitive.Message, len(c.Keys))
	for index, key := range c.Keys {
		batch[index] = primitive.NewMessage(c.Topic, []byte(key)).WithKeys([]string{key})
	}
	sent, err := d.producer.SendSync(context.Background(), batch...)
	for _, key := range c.Keys {
		d.report(key, sent, err)
	}
	return nil
}

func (d *driver) sendTransaction(c protocol.Command) error {
	outgoing, err := message(c)
	if err != nil {
		return err
	}
	outgoing.WithProperty(local, c.Local)
	sent, err := d.transactional.SendMessageInTransaction(context.Background(), outgoing)
	if err != nil {
		d.report(c.Keys[0], nil, err)
		return nil
	}
	d.report(c.Keys[0], sent.SendResult, nil)
	return nil
}

func (d *driver) report(key string, sent *primitive.SendResult, err error) {
	if err == nil && sent.Status != primitive.SendOK {
		err = fmt.Errorf("status %d", sent.Status)
	}
	if err != nil {
		d.events.SendFailed(key, err)
		return
	}
	d.events.Write("sent", protocol.Fields{"key": key, "id": sent.MsgID})
}

func (d *driver) request(c protocol.Command) error {
	outgoing, err := message(c)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(time.Duration(c.TimeoutMs) * time.Millisecond)
	var reply *primitive.Message
	for {
		attempt := min(time.Until(deadline), requestAttempt)
		reply, err = d.producer.Request(context.Background(), attempt, outgoing)
		if err == nil || !time.Now().Before(deadline) {
			break
		}
	}
	if err != nil {
		d.events.SendFailed(c.Keys[0], err)
		return nil
	}
	d.events.Write("replied", protocol.Fields{"key": c.Keys[0], "body_base64": reply.Body})
	return nil
}

func (d *driver) startConsumer(c protocol.Command) error {
	options := []consumer.Option{
		consumer.WithGroupName(c.Group),
		consumer.WithInstance(uuid.NewString()),
		consumer.WithNsResolver(d.resolver),
		consumer.WithNamespace(c.Namespace),
		consumer.WithCredentials(credentials(c)),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumerOrder(c.Ordered),
	}
	if c.Model == "broadcasting" {
		options = append(options, consumer.WithConsumerModel(consumer.BroadCasting))
	}
	if c.MaxAttempts != 0 {
		options = append(options, consumer.WithMaxReconsumeTimes(c.MaxAttempts-1))
	}
	filter := consumer.MessageSelector{Type: consumer.TAG, Expression: c.Tags}
	if c.SQL != "" {
		filter = consumer.MessageSelector{Type: consumer.SQL92, Expression: c.SQL}
	}
	switch c.Kind {
	case "push":
		return d.startPush(c, filter, options)
	case "lite-pull":
		return d.startPull(c, filter, options)
	}
	return protocol.Unsupported("consumer kind " + c.Kind)
}

func (d *driver) startPush(c protocol.Command, filter consumer.MessageSelector, options []consumer.Option) error {
	push, err := rocketmq.NewPushConsumer(options...)
	if err != nil {
		return err
	}
	// A call holds one message unless the application asks for more.
	listen := func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if d.consume(c, messages[0]) {
			return consumer.ConsumeSuccess, nil
		}
		if c.Ordered {
			return consumer.SuspendCurrentQueueAMoment, nil
		}
		if concurrently, found := primitive.GetConcurrentlyCtx(ctx); found && c.RetryLevel != 0 {
			concurrently.DelayLevelWhenNextConsume = c.RetryLevel
		}
		return consumer.ConsumeRetryLater, nil
	}
	if err := push.Subscribe(c.Topic, filter, listen); err != nil {
		return err
	}
	if err := push.Start(); err != nil {
		return err
	}
	d.push = push
	return nil
}

// consume tells whether the message is acknowledged.
func (d *driver) consume(c protocol.Command, one *primitive.MessageExt) bool {
	d.received(one)
	keys := keysOf(one)
	if c.Fails(keys, one.ReconsumeTimes+1) {
		return false
	}
	if c.Replies {
		if err := d.reply(one); err != nil {
			d.events.Write("warning", protocol.Fields{"error": err.Error()})
		}
	}
	d.events.Acked(keys)
	return true
}

func (d *driver) reply(one *primitive.MessageExt) error {
	if d.producer == nil {
		return errors.New("no producer for replies")
	}
	reply, err := consumer.CreateReplyMessage(one, []byte(keysOf(one)[0]))
	if err != nil {
		return err
	}
	// The library forgets it.
	reply.Body = []byte(keysOf(one)[0])
	_, err = d.producer.SendSync(context.Background(), reply)
	return err
}

func (d *driver) startPull(c protocol.Command, filter consumer.MessageSelector, options []consumer.Option) error {
	pull, err := rocketmq.NewPullConsumer(options...)
	if err != nil {
		return err
	}
	if err := pull.Subscribe(c.Topic, filter); err != nil {
		return err
	}
	if err := pull.Start(); err != nil {
		return err
	}
	d.pull = pull
	d.stop, d.stopped = make(chan struct{}), make(chan struct{})
	go d.poll(pull)
	return nil
}

func (d *driver) poll(pull rocketmq.PullConsumer) {
	defer close(d.stopped)
	for {
		select {
		case <-d.stop:
			return
		default:
		}
		polled, err := pull.Poll(context.Background(), poll)
		if consumer.IsNoNewMsgError(err) {
			continue
		}
		if err != nil {
			d.events.Write("warning", protocol.Fields{"error": err.Error()})
			continue
		}
		for _, one := range polled.GetMsgList() {
			d.received(one)
		}
		pull.ACK(context.Background(), polled, consumer.ConsumeSuccess)
		for _, one := range polled.GetMsgList() {
			d.events.Acked(keysOf(one))
		}
	}
}

func (d *driver) stopConsumer() error {
	if d.push != nil {
		if err := d.awaitListeners(); err != nil {
			return err
		}
		if err := settle(d.push); err != nil {
			return err
		}
		return d.push.Shutdown()
	}
	close(d.stop)
	<-d.stopped
	if err := settle(d.pull); err != nil {
		return err
	}
	return d.pull.Shutdown()
}

// settle has the server know all offsets before the library closes: that sends them a last time, and by closing with
// their answers unread it lets the kernel throw away what the server has not read yet. Who balances asks the server for
// the consumers of the group, over the same connection, and waits for the answer: when it is there, all that was sent
// before it has been read.
func settle(library any) error {
	known, ok := library.(interface {
		PersistConsumerOffset() error
		Rebalance()
	})
	if !ok {
		return errors.New("the library does not let its offsets be sent")
	}
	if err := known.PersistConsumerOffset(); err != nil {
		return err
	}
	known.Rebalance()
	return nil
}

// awaitListeners waits until nothing is done any more with what listeners have answered: the library stops without
// waiting, and forgets it.
func (d *driver) awaitListeners() error {
	d.push.Suspend()
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(listenersEnd); time.Now().Before(deadline); time.Sleep(pause) {
		all := string(stacks[:runtime.Stack(stacks, true)])
		if !slices.ContainsFunc(strings.Split(all, "\n\n"), isListening) {
			return nil
		}
	}
	return errors.New("listeners did not end")
}

// isListening tells whether the goroutine with this stack calls a listener or works at its answer. One that sleeps in
// between has a message that failed, and waits for the time to call again.
func isListening(stack string) bool {
	// Of a concurrent consumer the goroutine of a call is a function inside of this one.
	calls := strings.Contains(stack, ").consumeMessageConcurrently.func") ||
		strings.Contains(stack, ").consumeMessageOrderly(")
	return calls && !strings.Contains(stack, "time.Sleep(")
}

func keysOf(one *primitive.MessageExt) []string {
	keys := one.GetKeys()
	if keys == "" {
		return []string{}
	}
	return strings.Split(strings.TrimSpace(keys), keySeparator)
}

func (d *driver) received(one *primitive.MessageExt) {
	more := protocol.Fields{
		"topic":       one.Topic,
		"id":          one.MsgId,
		"keys":        keysOf(one),
		"properties":  userProperties(one),
		"body_base64": one.Body,
		"attempt":     one.ReconsumeTimes + 1,
	}
	if tag := one.GetTags(); tag != "" {
		more["tag"] = tag
	}
	d.events.Write("received", more)
}

// userProperties are those that no part of RocketMQ has added: the library does not tell them apart.
func userProperties(one *primitive.MessageExt) map[string]string {
	user := map[string]string{}
	for name, value := range one.GetProperties() {
		if name == strings.ToLower(name) && name != local {
			user[name] = value
		}
	}
	return user
}

func main() {
	protocol.Run(func(endpoint string, events *protocol.Events) protocol.Driver {
		return &driver{resolver: primitive.NewPassthroughResolver([]string{endpoint}), events: events}
	})
}
