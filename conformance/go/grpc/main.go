// Command grpc drives the Go client, with its default of TLS and any certificate.
// The line protocol is in ../../README.md.
package main

import (
	"context"
	"time"

	"carrack/conformance/go/protocol"
	rocketmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

const (
	await     = 3 * time.Second
	invisible = 10 * time.Second
	batch     = 32
	// pause is between a receive that failed and the next one.
	pause = 100 * time.Millisecond
)

// configuration is that of a client in the session of this command.
func (d *driver) configuration(c protocol.Command) (*rocketmq.Config, error) {
	if c.Trace {
		return nil, protocol.Unsupported("trace")
	}
	return &rocketmq.Config{
		Endpoint:      d.endpoint,
		NameSpace:     c.Namespace,
		ConsumerGroup: c.Group,
		Credentials:   &credentials.SessionCredentials{AccessKey: c.AccessKey, AccessSecret: c.SecretKey},
	}, nil
}

func message(c protocol.Command) (*rocketmq.Message, error) {
	if c.DelayLevel != 0 {
		return nil, protocol.Unsupported("delay levels")
	}
	message := &rocketmq.Message{Topic: c.Topic, Body: c.Body}
	message.SetKeys(c.Keys...)
	if c.Tag != "" {
		message.SetTag(c.Tag)
	}
	if c.ShardingKey != "" {
		message.SetMessageGroup(c.ShardingKey)
	}
	if at, timed := c.DeliverAt(); timed {
		message.SetDelayTimestamp(at)
	}
	if c.Priority != nil {
		message.SetPriority(*c.Priority)
	}
	if c.LiteTopic != "" {
		message.SetLiteTopic(c.LiteTopic)
	}
	for name, value := range c.Properties {
		message.AddProperty(name, value)
	}
	return message, nil
}

func (d *driver) received(message *rocketmq.MessageView) {
	more := protocol.Fields{
		"topic":       message.GetTopic(),
		"id":          message.GetMessageId(),
		"keys":        message.GetKeys(),
		"properties":  message.GetProperties(),
		"body_base64": message.GetBody(),
		"attempt":     message.GetDeliveryAttempt(),
	}
	if message.GetProperties() == nil {
		more["properties"] = protocol.Fields{}
	}
	if tag := message.GetTag(); tag != nil {
		more["tag"] = *tag
	}
	if lite := message.GetLiteTopic(); lite != "" {
		more["lite_topic"] = lite
	}
	d.events.Write("received", more)
}

type consumer interface {
	Start() error
	GracefulStop() error
}

type driver struct {
	endpoint string
	events   *protocol.Events
	producer rocketmq.Producer
	consumer consumer
	lite     rocketmq.LitePushConsumer
	stop     chan struct{}
	stopped  chan struct{}
}

// CarryOut does what a command says.
func (d *driver) CarryOut(c protocol.Command) error {
	switch c.Op {
	case "producer.start":
		return d.startProducer(c)
	case "producer.stop":
		return d.producer.GracefulStop()
	case "send":
		return d.send(c)
	case "send_transaction":
		return d.sendTransaction(c)
	case "recall":
		_, err := d.producer.Recall(context.Background(), c.Topic, c.RecallHandle)
		return err
	case "send_many":
		// A message of these parts is one that the library has.
		c.Many(func(one protocol.Command) { _ = d.send(one) })
		return nil
	case "consumer.start":
		return d.startConsumer(c)
	case "consumer.subscribe_lite":
		return d.lite.SubscribeLite(c.LiteTopic)
	case "consumer.unsubscribe_lite":
		return d.lite.UnSubscribeLite(c.LiteTopic)
	case "consumer.stop":
		return d.stopConsumer()
	}
	return protocol.Unsupported(c.Op)
}

func (d *driver) startProducer(c protocol.Command) error {
	// The library takes the group of a producer's configuration for nothing.
	c.Group = ""
	configuration, err := d.configuration(c)
	if err != nil {
		return err
	}
	options := []rocketmq.ProducerOption{rocketmq.WithTopics(c.Topics...)}
	if c.Kind == "transaction" {
		options = append(options, rocketmq.WithTransactionChecker(&rocketmq.TransactionChecker{Check: d.check}))
	}
	producer, err := rocketmq.NewProducer(configuration, options...)
	if err != nil {
		return err
	}
	if err := producer.Start(); err != nil {
		return err
	}
	d.producer = producer
	return nil
}

// check answers by the message alone.
func (d *driver) check(message *rocketmq.MessageView) rocketmq.TransactionResolution {
	d.events.Write("transaction_checked", protocol.Fields{"key": message.GetKeys()[0]})
	switch message.GetProperties()["check"] {
	case "commit":
		return rocketmq.COMMIT
	case "rollback":
		return rocketmq.ROLLBACK
	}
	return rocketmq.UNKNOWN
}

// send reports a failure of the message as an event; only that the library has no such message is an error.
func (d *driver) send(c protocol.Command) error {
	outgoing, err := message(c)
	if err != nil {
		return err
	}
	receipts, err := d.producer.Send(context.Background(), outgoing)
	d.report(c, receipts, err)
	return nil
}

func (d *driver) sendTransaction(c protocol.Command) error {
	outgoing, err := message(c)
	if err != nil {
		return err
	}
	transaction := d.producer.BeginTransaction()
	receipts, err := d.producer.SendWithTransaction(context.Background(), outgoing, transaction)
	if err == nil && c.Local == "commit" {
		err = transaction.Commit()
	}
	if err == nil && c.Local == "rollback" {
		err = transaction.RollBack()
	}
	d.report(c, receipts, err)
	return nil
}

func (d *driver) report(c protocol.Command, receipts []*rocketmq.SendReceipt, err error) {
	if err != nil {
		d.events.SendFailed(c.Keys[0], err)
		return
	}
	more := protocol.Fields{"key": c.Keys[0], "id": receipts[0].MessageID}
	if handle := receipts[0].RecallHandle; handle != "" {
		more["recall_handle"] = handle
	}
	d.events.Write("sent", more)
}

func (d *driver) startConsumer(c protocol.Command) error {
	if c.Model == "broadcasting" || c.Replies {
		return protocol.Unsupported("this kind of consumer")
	}
	expression := rocketmq.NewFilterExpression(c.Tags)
	if c.SQL != "" {
		expression = rocketmq.NewFilterExpressionWithType(c.SQL, rocketmq.SQL92)
	}
	subscription := map[string]*rocketmq.FilterExpression{c.Topic: expression}
	configuration, err := d.configuration(c)
	if err != nil {
		return err
	}
	listener := &rocketmq.FuncMessageListener{Consume: func(message *rocketmq.MessageView) rocketmq.ConsumerResult {
		d.received(message)
		if c.Fails(message.GetKeys(), message.GetDeliveryAttempt()) {
			return rocketmq.FAILURE
		}
		d.events.Acked(message.GetKeys())
		return rocketmq.SUCCESS
	}}
	if c.Lite {
		return d.startLiteConsumer(c, configuration, listener)
	}
	switch c.Kind {
	case "push":
		push, err := rocketmq.NewPushConsumer(configuration,
			rocketmq.WithPushAwaitDuration(await),
			rocketmq.WithPushSubscriptionExpressions(subscription),
			rocketmq.WithPushMessageListener(listener),
			rocketmq.WithPushEnableFifoConsumeAccelerator(c.Ordered),
			rocketmq.WithPushConsumptionThreadCount(20),
			rocketmq.WithPushMaxCacheMessageCount(1024))
		if err != nil {
			return err
		}
		if err := push.Start(); err != nil {
			return err
		}
		d.consumer = push
		return nil
	case "simple":
		simple, err := rocketmq.NewSimpleConsumer(configuration,
			rocketmq.WithSimpleAwaitDuration(await),
			rocketmq.WithSimpleSubscriptionExpressions(subscription))
		if err != nil {
			return err
		}
		if err := simple.Start(); err != nil {
			return err
		}
		d.consumer = simple
		d.stop, d.stopped = make(chan struct{}), make(chan struct{})
		go d.receive(simple, c)
		return nil
	}
	return protocol.Unsupported("consumer kind " + c.Kind)
}

func (d *driver) startLiteConsumer(
	c protocol.Command, configuration *rocketmq.Config, listener rocketmq.MessageListener,
) error {
	if c.Kind != "push" {
		return protocol.Unsupported("lite consumer of kind " + c.Kind)
	}
	lite, err := rocketmq.NewLitePushConsumer(configuration,
		rocketmq.NewLitePushConsumerConfig(c.Topic, invisible),
		rocketmq.WithPushAwaitDuration(await),
		rocketmq.WithPushMessageListener(listener),
		rocketmq.WithPushConsumptionThreadCount(20),
		rocketmq.WithPushMaxCacheMessageCount(1024))
	if err != nil {
		return err
	}
	if err := lite.Start(); err != nil {
		return err
	}
	d.consumer, d.lite = lite, lite
	return nil
}

func (d *driver) receive(simple rocketmq.SimpleConsumer, c protocol.Command) {
	defer close(d.stopped)
	for {
		select {
		case <-d.stop:
			return
		default:
		}
		messages, err := simple.Receive(context.Background(), batch, invisible)
		if err != nil {
			d.events.Write("warning", protocol.Fields{"error": err.Error()})
			time.Sleep(pause)
		}
		for _, message := range messages {
			d.received(message)
			d.settle(simple, c, message)
		}
	}
}

func (d *driver) settle(simple rocketmq.SimpleConsumer, c protocol.Command, message *rocketmq.MessageView) {
	var err error
	if duration, changes := c.Invisible(message.GetKeys()); changes {
		err = simple.ChangeInvisibleDuration(message, duration)
	}
	if err == nil && c.Fails(message.GetKeys(), message.GetDeliveryAttempt()) {
		return
	}
	if err == nil {
		err = simple.Ack(context.Background(), message)
	}
	if err != nil {
		d.events.Write("ack_failed", protocol.Fields{"keys": message.GetKeys(), "error": err.Error()})
	} else {
		d.events.Acked(message.GetKeys())
	}
}

func (d *driver) stopConsumer() error {
	if d.stop != nil {
		close(d.stop)
		<-d.stopped
		d.stop = nil
	}
	return d.consumer.GracefulStop()
}

func main() {
	protocol.Run(func(endpoint string, events *protocol.Events) protocol.Driver {
		return &driver{endpoint: endpoint, events: events}
	})
}
