// Package protocol is what the drivers for Go share: the line protocol of ../../README.md.
package protocol

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fields are those of an event.
type Fields map[string]any

// Command is one line of input.
type Command struct {
	Command      int               `json:"command"`
	Op           string            `json:"op"`
	Group        string            `json:"group"`
	Topic        string            `json:"topic"`
	Topics       []string          `json:"topics"`
	Keys         []string          `json:"keys"`
	Tag          string            `json:"tag"`
	Properties   map[string]string `json:"properties"`
	Body         []byte            `json:"body_base64"`
	ShardingKey  string            `json:"sharding_key"`
	DelayLevel   int               `json:"delay_level"`
	DelayMs      int64             `json:"delay_ms"`
	DeliverAtMs  int64             `json:"deliver_at_ms"`
	Priority     *int32            `json:"priority"`
	LiteTopic    string            `json:"lite_topic"`
	Local        string            `json:"local"`
	RecallHandle string            `json:"recall_handle"`
	TimeoutMs    int64             `json:"timeout_ms"`
	Prefix       string            `json:"prefix"`
	Count        int               `json:"count"`
	Concurrency  int               `json:"concurrency"`
	Kind         string            `json:"kind"`
	Uncompressed bool              `json:"uncompressed"`
	Tags         string            `json:"tags"`
	SQL          string            `json:"sql"`
	Model        string            `json:"model"`
	Ordered      bool              `json:"ordered"`
	Lite         bool              `json:"lite"`
	Replies      bool              `json:"replies"`
	Hold         string            `json:"hold"`
	Fail         string            `json:"fail"`
	MaxAttempts  int32             `json:"max_attempts"`
	RetryLevel   int               `json:"retry_level"`
	InvisibleMs  map[string]int64  `json:"invisible_ms"`
	Namespace    string            `json:"namespace"`
	AccessKey    string            `json:"access_key"`
	SecretKey    string            `json:"secret_key"`
	Trace        bool              `json:"trace"`
}

// Unsupported says that the library has no such thing; see clients.rs for what each one lacks.
type Unsupported string

func (u Unsupported) Error() string { return "unsupported: " + string(u) }

func startsWith(prefix string, keys []string) bool {
	return prefix != "" &&
		slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, prefix) })
}

// Fails tells whether a delivery must not be acknowledged: the first of a held message, each of a failing one.
func (c *Command) Fails(keys []string, attempt int32) bool {
	return (attempt <= 1 && startsWith(c.Hold, keys)) || startsWith(c.Fail, keys)
}

// Invisible is the invisible duration that a message is to get, if any.
func (c *Command) Invisible(keys []string) (time.Duration, bool) {
	for prefix, ms := range c.InvisibleMs {
		if startsWith(prefix, keys) {
			return time.Duration(ms) * time.Millisecond, true
		}
	}
	return 0, false
}

// DeliverAt is when the message asks to be seen, if it does.
func (c *Command) DeliverAt() (time.Time, bool) {
	if c.DelayMs != 0 {
		return time.Now().Add(time.Duration(c.DelayMs) * time.Millisecond), true
	}
	return time.UnixMilli(c.DeliverAtMs), c.DeliverAtMs != 0
}

// Many sends the messages of send_many, so many at a time. The first goes alone: the library of Remoting shows the
// queues of a topic, while its first message looks for them, before it knows where their broker is.
func (c *Command) Many(send func(Command)) {
	if c.Count == 0 {
		return
	}
	numbered := func(index int) Command {
		key := fmt.Sprintf("%s%d", c.Prefix, index)
		shard := strings.ReplaceAll(c.ShardingKey, "#", fmt.Sprint(index))
		return Command{Topic: c.Topic, Keys: []string{key}, Body: []byte(key), ShardingKey: shard}
	}
	send(numbered(0))
	indexes := make(chan int)
	var senders sync.WaitGroup
	for range c.Concurrency {
		senders.Go(func() {
			for index := range indexes {
				send(numbered(index))
			}
		})
	}
	for index := 1; index < c.Count; index++ {
		indexes <- index
	}
	close(indexes)
	senders.Wait()
}

// Events writes one JSON event a line; safe to call from every goroutine of a client.
type Events struct {
	mutex sync.Mutex
	out   *os.File
}

// Write writes an event.
func (e *Events) Write(event string, more Fields) {
	line := Fields{"event": event}
	for name, value := range more {
		line[name] = value
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if _, err := e.out.Write(append(encoded, '\n')); err != nil {
		os.Exit(1)
	}
}

// SendFailed says that the client gave up on a message.
func (e *Events) SendFailed(key string, reason error) {
	e.Write("send_failed", Fields{"key": key, "error": reason.Error()})
}

// Acked says that a delivery is acknowledged.
func (e *Events) Acked(keys []string) {
	e.Write("acked", Fields{"keys": keys})
}

// Driver carries out commands, one after the other.
type Driver interface {
	CarryOut(Command) error
}

// Run reads commands from standard input until exit or its end.
func Run(connect func(endpoint string, events *Events) Driver) {
	endpoint := flag.String("endpoint", "", "HOST:PORT")
	flag.Parse()
	events := &Events{out: os.Stdout}
	// Whatever a library prints must not mix with the events.
	os.Stdout = os.Stderr
	driver := connect(*endpoint, events)
	events.Write("ready", nil)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c Command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		var err error
		if c.Op != "exit" {
			err = driver.CarryOut(c)
		}
		if err != nil {
			events.Write("failed", Fields{"command": c.Command, "error": err.Error()})
		} else {
			events.Write("done", Fields{"command": c.Command})
		}
		if c.Op == "exit" {
			break
		}
	}
}
