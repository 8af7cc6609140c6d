package access_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
)

// attack is a message that a hostile team sends.
type attack struct {
	what, subject, reply, body string
	header                     nats.Header
}

func attacks(ack string) (all []attack) {
	add := func(what, subject string, more ...string) {
		a := attack{what: what, subject: subject}
		if len(more) > 0 {
			a.body = more[0]
		}
		if len(more) > 1 {
			a.reply = more[1]
		}
		all = append(all, a)
	}
	for _, name := range []string{"EVENTS", "DEAD", "RETRY", "REPLAY", "RETRY_pbx", "QUARANTINE", "HISTORY", "AUDIT", "KV_SLUICE_REPLAYS"} {
		add("purge", "$JS.API.STREAM.PURGE."+name)
		add("delete a stream", "$JS.API.STREAM.DELETE."+name)
		add("delete a message", "$JS.API.STREAM.MSG.DELETE."+name, `{"seq":1}`)
		add("change a stream", "$JS.API.STREAM.UPDATE."+name, `{"name":"`+name+`","subjects":["x"]}`)
		add("read by number", "$JS.API.STREAM.MSG.GET."+name, `{"seq":1}`)
		add("read directly", "$JS.API.DIRECT.GET."+name, `{"seq":1}`)
		add("list consumers", "$JS.API.CONSUMER.LIST."+name)
		add("a consumer", "$JS.API.CONSUMER.CREATE."+name+".evil2", `{"stream_name":"`+name+`","config":{"name":"evil2","ack_policy":"none"},"action":""}`)
		add("a consumer that delivers", "$JS.API.CONSUMER.CREATE."+name+".evil3", `{"stream_name":"`+name+`","config":{"name":"evil3","deliver_subject":"dead.pbx.zorio.x","ack_policy":"none"},"action":""}`)
		add("a durable, the old way", "$JS.API.CONSUMER.DURABLE.CREATE."+name+".evil4", `{"stream_name":"`+name+`","config":{"durable_name":"evil4","ack_policy":"explicit"}}`)
		add("delete a consumer", "$JS.API.CONSUMER.DELETE."+name+".pbx")
		add("pause a consumer", "$JS.API.CONSUMER.PAUSE."+name+".pbx", `{"pause_until":"2100-01-01T00:00:00Z"}`)
		add("take another's", "$JS.API.CONSUMER.MSG.NEXT."+name+".pbx", "1")
		add("ask about another's", "$JS.API.CONSUMER.INFO."+name+".pbx")
	}
	add("read a note of another", "$JS.API.DIRECT.GET.BEGUN.begun.pbx.x")
	add("widen its own consumer", "$JS.API.CONSUMER.CREATE.EVENTS.evil", `{"stream_name":"EVENTS","config":{"durable_name":"evil","ack_policy":"explicit","deliver_subject":"dead.pbx.zorio.x"},"action":""}`)
	add("a stream that fills the disk", "$JS.API.STREAM.CREATE.MINE", `{"name":"MINE","subjects":["mine.>"],"storage":"file"}`)
	add("a mirror", "$JS.API.STREAM.CREATE.MIRROR", `{"name":"MIRROR","storage":"file","mirror":{"name":"DEAD"}}`)
	add("a key-value bucket", "$JS.API.STREAM.CREATE.KV_MINE", `{"name":"KV_MINE","subjects":["$KV.MINE.>"]}`)
	add("the leader", "$JS.API.META.LEADER.STEPDOWN")
	add("the leader of a stream", "$JS.API.STREAM.LEADER.STEPDOWN.EVENTS")
	add("a snapshot", "$JS.API.STREAM.SNAPSHOT.DEAD", `{"deliver_subject":"mine"}`)
	add("a list of accounts", "$SYS.REQ.SERVER.PING.ACCOUNTZ")
	add("acknowledge for another", ack)
	add("negatively", ack, "-NAK")
	add("for ever", ack, "+TERM")
	for _, subject := range []string{"events.zorio.forged", "dead.pbx.zorio.forged", "retry.pbx.due.zorio.forged", "retry.evil.wait.x", "again.pbx.wait.x", "again.evil.due.zorio.x", "replay.pbx.zorio.forged",
		"replay.evil.zorio.forged", "history.pbx.0", "begun.pbx.x", "audit.team.remove", "quarantine.zorio.late", "refused.zorio.invalid", "$KV.SLUICE_PROCESSES.pbx.x", "$KV.SLUICE_REPLAYS.x"} {
		add("publish", subject, "{}")
	}
	for _, reply := range []string{"events.zorio.forged", "dead.pbx.zorio.forged", "replay.pbx.zorio.forged", "again.pbx.wait.x", ack, "$JS.API.STREAM.PURGE.EVENTS"} {
		add("inject as the reply of a pull", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.evil", `{"batch":1,"expires":500000000}`, reply)
		add("inject as the reply of a pull of nothing", "$JS.API.CONSUMER.MSG.NEXT.REPLAY.evil", `{"batch":1,"no_wait":true}`, reply)
		add("inject as the reply of a question", "$JS.API.STREAM.INFO.EVENTS", "", reply)
		add("inject as the reply of a publish", "begun.evil.x", "+TERM", reply)
		add("inject as the reply of a read", "$JS.API.DIRECT.GET.BEGUN.begun.evil.x", "", reply)
	}
	all = append(all,
		attack{what: "a schedule into the others' retries", subject: "again.evil.wait.1", header: scheduled(0, "retry.pbx.due.zorio.forged")},
		attack{what: "a schedule into another's own", subject: "again.evil.wait.2", header: scheduled(0, "again.pbx.due.zorio.forged")},
		attack{what: "a schedule into the events", subject: "again.evil.wait.3", header: scheduled(0, "events.zorio.forged")},
		attack{what: "a schedule that reads another's", subject: "again.evil.wait.4", header: scheduled(0, "again.evil.due.zorio.stolen", "Nats-Schedule-Source", "again.pbx.wait.victim")},
		attack{what: "a trace", subject: "dead.evil.zorio.x", header: nats.Header{"Nats-Trace-Dest": {"events.zorio.forged"}, "Nats-Trace-Only": {"true"}}},
	)
	for _, subject := range []string{"dead.evil.zorio.x", "begun.evil.x", "history.evil.0", "$KV.SLUICE_PROCESSES.evil.x", "again.evil.wait.5"} {
		all = append(all, attack{what: "a roll-up", subject: subject, header: nats.Header{"Nats-Rollup": {"all"}}},
			attack{what: "no schedule any more", subject: subject, header: nats.Header{"Nats-Schedule-Next": {"purge"}, "Nats-Scheduler": {"again.pbx.wait.victim"}}})
	}
	return all
}

func scheduled(in time.Duration, target string, more ...string) nats.Header {
	h := nats.Header{"Nats-Schedule": {"@at " + time.Now().Add(in).UTC().Format(time.RFC3339Nano)}, "Nats-Schedule-Target": {target}}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
	}
	return h
}

func TestAHostileTeamReachesOnlyItsOwn(t *testing.T) {
	h := newHouse(t, "pbx", "evil")
	_, err := h.js.Publish(t.Context(), "events.zorio.first", []byte("public"), jetstream.WithMsgID("a"))
	h.must(err)
	h.publish("dead.pbx.zorio.private", nats.Header{event.HeaderID: {"b"}})
	h.publish("replay.pbx.zorio.private", nil)
	h.publish("$KV.SLUICE_PROCESSES.pbx.one", nil)
	h.publish("begun.pbx.one", nil)
	h.publish("again.pbx.wait.victim", scheduled(time.Hour, "again.pbx.due.zorio.private"))
	got, err := h.durable("pbx").Next(jetstream.FetchMaxWait(5 * time.Second)) // in flight: what the other would acknowledge
	h.must(err)
	before := h.state()

	nc := h.connect("evil").Conn()
	for _, a := range attacks(got.Reply()) {
		if a.reply != "" || strings.Contains(a.subject, "evil.") {
			continue
		}
		answer, err := nc.RequestMsg(&nats.Msg{Subject: a.subject, Header: a.header, Data: []byte(a.body)}, 200*time.Millisecond)
		if err == nil && !strings.Contains(string(answer.Data), `"error"`) {
			t.Errorf("%s: %s: answered %.200s", a.what, a.subject, answer.Data)
		}
	}
	overheard, err := nc.SubscribeSync(">")
	h.must(err)
	for _, a := range attacks(got.Reply()) {
		h.must(nc.PublishMsg(&nats.Msg{Subject: a.subject, Reply: a.reply, Header: a.header, Data: []byte(a.body)}))
	}
	h.must(nc.Flush())
	h.untilSchedulesFire()
	h.publish("dead.pbx.zorio.private", nats.Header{event.HeaderID: {"c"}})
	if after := h.state(); !slices.Equal(before, after) {
		t.Errorf("before\n  %s\nafter\n  %s", strings.Join(before, "\n  "), strings.Join(after, "\n  "))
	}
	for m, err := overheard.NextMsg(100 * time.Millisecond); err == nil; m, err = overheard.NextMsg(100 * time.Millisecond) {
		if strings.Contains(string(m.Data), private) {
			t.Errorf("overheard %s: %.100s", m.Subject, m.Data)
		}
	}
}

// private is what no other team may see.
const private = "private"

// untilSchedulesFire waits until one has fired that the hostile team may have, and that came after all of the others.
func (h *house) untilSchedulesFire() {
	h.t.Helper()
	js := h.connect("evil")
	_, err := js.PublishMsg(h.t.Context(), &nats.Msg{Subject: "again.evil.wait.last", Header: scheduled(100*time.Millisecond, "again.evil.due.zorio.last")})
	h.must(err)
	own, err := h.js.Stream(h.t.Context(), stream.RetryOf("evil"))
	h.must(err)
	rig.Eventually(h.t, 10*time.Second, "a schedule of its own fires", func() bool {
		_, err := own.GetLastMsgForSubject(h.t.Context(), "again.evil.due.zorio.last")
		return err == nil
	})
}

func (h *house) publish(subject string, header nats.Header) {
	h.t.Helper()
	_, err := h.js.PublishMsg(h.t.Context(), &nats.Msg{Subject: subject, Header: header, Data: []byte(private)})
	h.must(err)
}

func (h *house) durable(team string) jetstream.Consumer {
	h.t.Helper()
	c, err := h.js.Consumer(h.t.Context(), stream.Events, team)
	h.must(err)
	return c
}

// state is everything that is not the hostile team's: what messages lie where, which streams and consumers there are, and
// how far pbx is.
func (h *house) state() (all []string) {
	h.t.Helper()
	for s := range h.js.ListStreams(h.t.Context()).Info() {
		one, err := h.js.Stream(h.t.Context(), s.Config.Name)
		h.must(err)
		info, err := one.Info(h.t.Context(), jetstream.WithSubjectFilter(">"))
		h.must(err)
		config, err := json.Marshal(info.Config)
		h.must(err)
		all = append(all, s.Config.Name+" "+string(config))
		for subject, n := range info.State.Subjects {
			if !strings.Contains(subject, ".evil.") && subject != "dead.pbx.zorio.private" { // which is one more in the end
				all = append(all, fmt.Sprintf("%s %s %d", s.Config.Name, subject, n))
			}
		}
		for c := range one.ListConsumers(h.t.Context()).Info() {
			if c.Name == "pbx" {
				all = append(all, fmt.Sprintf("%s consumer %s floor %d in flight %d redelivered %d paused %v", s.Config.Name, c.Name, c.AckFloor.Stream, c.NumAckPending, c.NumRedelivered, c.Paused))
				continue
			}
			all = append(all, fmt.Sprintf("%s consumer %s", s.Config.Name, c.Name))
		}
	}
	slices.Sort(all)
	return all
}

// A team fills what it may write to, and no more: what others cannot put there any more stays theirs until there is room.
func TestATeamCannotFillTheDisk(t *testing.T) {
	h := newHouse(t, "pbx", "evil")
	letters, err := h.js.Stream(t.Context(), stream.Dead)
	h.must(err)
	bounds := letters.CachedInfo().Config
	if bounds.MaxBytes <= 0 {
		t.Errorf("nothing bounds dead letters: %+v", bounds)
	}
	bounds.MaxBytes = 64 << 10
	_, err = h.js.UpdateStream(t.Context(), bounds)
	h.must(err)
	evil := h.connect("evil")
	fills := func(subject string, size, most int) bool {
		for n := range most {
			if _, err := evil.Publish(t.Context(), fmt.Sprintf(subject, n), make([]byte, size)); err != nil {
				return false
			}
		}
		return true
	}
	if fills("dead.evil.zorio.x%d", 8<<10, 9) || fills("dead.evil.zorio.y%d", 100, 99) {
		t.Error("dead letters have no end")
	}
	if fills("begun.evil.x%d", 2<<10, 1) || fills("$KV.SLUICE_PROCESSES.evil.x%d", 128<<10, 1) {
		t.Error("a note or a report may be of any size")
	}
	for _, name := range []string{stream.Begun, "KV_" + stream.Processes, stream.History, stream.RetryOf("evil")} {
		s, err := h.js.Stream(t.Context(), name)
		h.must(err)
		if c := s.CachedInfo().Config; c.MaxBytes <= 0 && (c.MaxMsgs <= 0 || c.MaxMsgSize <= 0) {
			t.Errorf("nothing bounds %s: %+v", name, c)
		}
	}

	h.happens("good", "bad")
	m := h.work("pbx")
	rig.Eventually(t, 20*time.Second, "one is done, and the other cannot become a dead letter", func() bool {
		return m.done.Load() == 1 && strings.Contains(m.log.String(), "cannot store the copy of an event that failed")
	})
	h.must((&team.Team{Name: "evil"}).DropLetters(t.Context(), h.js))
	rig.Eventually(t, 20*time.Second, "it is a dead letter", func() bool {
		s, err := h.js.Stream(t.Context(), stream.Dead)
		h.must(err)
		return s.CachedInfo().State.Msgs == 1
	})
}
