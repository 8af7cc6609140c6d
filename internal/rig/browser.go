package rig

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Browser is a real one without a window, Chromium, which is told what to do through a pipe in its DevTools protocol:
// https://chromedevtools.github.io/devtools-protocol. It takes a second to start: one is enough for the tests of a package.
type Browser struct {
	cmd   *exec.Cmd
	write *os.File
	dir   string

	mu      sync.Mutex
	next    int
	answers map[int]chan message
	tabs    map[string]*Tab // by their session
	gone    error
}

// message is what goes through the pipe, each ended by a zero byte.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// browserWithin bounds an answer of the browser, on a machine that is busy.
const browserWithin = 60 * time.Second

// StartBrowser starts one. It ends with Close, or when this process does.
func StartBrowser() (*Browser, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("chromium is not installed: `make deps` installs it")
	}
	dir, err := os.MkdirTemp("", "sluice-browser-")
	if err != nil {
		return nil, err
	}
	read, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	mine, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-extensions", "--disable-sync", "--hide-scrollbars", "--mute-audio", "--force-color-profile=srgb",
		"--user-data-dir="+dir)
	cmd.ExtraFiles = []*os.File{mine, theirs} // 3 and 4, as it wants them
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_, _ = mine.Close(), theirs.Close()
	b := &Browser{cmd: cmd, write: write, dir: dir, answers: map[int]chan message{}, tabs: map[string]*Tab{}}
	go b.listen(read)
	return b, nil
}

// Close ends it.
func (b *Browser) Close() {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	_ = b.cmd.Wait()
	_ = b.write.Close()
	_ = os.RemoveAll(b.dir)
}

// listen takes answers and events until the browser ends.
func (b *Browser) listen(read *os.File) {
	defer read.Close()
	for lines := bufio.NewReaderSize(read, 1<<20); ; {
		text, err := lines.ReadBytes(0)
		if err != nil {
			b.end(fmt.Errorf("the browser has ended: %w", err))
			return
		}
		var m struct {
			message
			Params json.RawMessage `json:"params"`
		}
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		waiting, tab := b.answers[m.ID], b.tabs[m.Session]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		switch {
		case waiting != nil:
			waiting <- m.message
		case tab != nil:
			tab.event(m.Method, m.Params)
		}
	}
}

func (b *Browser) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = err
	for id, waiting := range b.answers {
		close(waiting)
		delete(b.answers, id)
	}
}

// call sends a command and decodes its answer into result, unless that is nil.
func (b *Browser) call(session, method string, params, result any) error {
	b.mu.Lock()
	if b.gone != nil {
		defer b.mu.Unlock()
		return b.gone
	}
	b.next++
	id, waiting := b.next, make(chan message, 1)
	b.answers[id] = waiting
	text, err := json.Marshal(message{ID: id, Session: session, Method: method, Params: params})
	if err == nil {
		_, err = b.write.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m, open := <-waiting:
		switch {
		case !open:
			return io.ErrUnexpectedEOF
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-time.After(browserWithin):
		return fmt.Errorf("%s: no answer of the browser within %s", method, browserWithin)
	}
}

// Tab is a page in a browser with its own cookies. Its methods fail the test when they cannot do what they say.
type Tab struct {
	t       testing.TB
	b       *Browser
	session string
	target  string
	context string

	mu       sync.Mutex
	loaded   int
	problems []string
}

// Params of commands.
type params map[string]any

// Tab opens one, until the test ends, with a width in pixels, light or dark.
func (b *Browser) Tab(t testing.TB, width, height int, dark bool) *Tab {
	t.Helper()
	tab := &Tab{t: t, b: b}
	var made struct{ BrowserContextID, TargetID, SessionID string }
	tab.must(b.call("", "Target.createBrowserContext", params{}, &made))
	tab.context = made.BrowserContextID
	tab.must(b.call("", "Target.createTarget", params{"url": "about:blank", "browserContextId": tab.context}, &made))
	tab.target = made.TargetID
	tab.must(b.call("", "Target.attachToTarget", params{"targetId": tab.target, "flatten": true}, &made))
	tab.session = made.SessionID
	b.mu.Lock()
	b.tabs[tab.session] = tab
	b.mu.Unlock()
	t.Cleanup(func() {
		_ = b.call("", "Target.disposeBrowserContext", params{"browserContextId": tab.context}, nil) // the browser may have ended
	})
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		tab.do(domain+".enable", params{}, nil)
	}
	tab.Resize(width, height, dark)
	return tab
}

// Resize gives the page another size and colour scheme.
func (t *Tab) Resize(width, height int, dark bool) {
	t.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	t.do("Emulation.setDeviceMetricsOverride", params{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	t.do("Emulation.setEmulatedMedia", params{"features": []params{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

func (t *Tab) must(err error) {
	t.t.Helper()
	if err != nil {
		t.t.Fatalf("browser: %v", err)
	}
}

func (t *Tab) do(method string, p params, result any) {
	t.t.Helper()
	t.must(t.b.call(t.session, method, p, result))
}

// event notes what a page loads, and what it complains about.
func (t *Tab) event(method string, text json.RawMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch method {
	case "Page.loadEventFired":
		t.loaded++
	case "Runtime.exceptionThrown", "Log.entryAdded":
		t.problems = append(t.problems, string(text))
	}
}

// Problems are what the browser has complained about: errors of scripts, and what the content security policy refused.
func (t *Tab) Problems() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.problems...)
}

// Open loads an address and waits until it is there.
func (t *Tab) Open(url string) {
	t.t.Helper()
	t.Loads(func() {
		var answer struct{ ErrorText string }
		t.do("Page.navigate", params{"url": url}, &answer)
		if answer.ErrorText != "" {
			t.t.Fatalf("%s: %s", url, answer.ErrorText)
		}
	})
}

// Loads waits until what it does has loaded a page.
func (t *Tab) Loads(do func()) {
	t.t.Helper()
	count := func() int { t.mu.Lock(); defer t.mu.Unlock(); return t.loaded }
	before := count()
	do()
	Eventually(t.t, browserWithin, "a page is loaded", func() bool { return count() > before })
}

// Script runs JavaScript in the page and decodes its value into result, unless that is nil. It may be a promise.
func (t *Tab) Script(script string, result any) {
	t.t.Helper()
	if err := t.script(script, result); err != nil {
		t.t.Fatalf("%s: %v", script, err)
	}
}

func (t *Tab) script(script string, result any) error {
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := t.b.call(t.session, "Runtime.evaluate", params{"expression": script, "returnByValue": true, "awaitPromise": true, "userGesture": true}, &answer)
	switch {
	case err != nil:
		return err
	case answer.ExceptionDetails != nil:
		return errors.New(answer.ExceptionDetails.Text + " " + answer.ExceptionDetails.Exception.Description)
	case result != nil && len(answer.Result.Value) > 0:
		return json.Unmarshal(answer.Result.Value, result)
	}
	return nil
}

// Waits polls until JavaScript is true. A page that is being loaded meanwhile is no error.
func (t *Tab) Waits(script string) {
	t.t.Helper()
	var last error
	for deadline := time.Now().Add(browserWithin); ; time.Sleep(20 * time.Millisecond) {
		var holds bool
		if last = t.script("Boolean("+script+")", &holds); last == nil && holds {
			return
		}
		if time.Now().After(deadline) {
			t.t.Fatalf("not within %s: %s (%v)\n%s", browserWithin, script, last, t.Text())
		}
	}
}

// Click clicks on the first element that a CSS selector finds, once it is there.
func (t *Tab) Click(selector string) {
	t.t.Helper()
	quoted, _ := json.Marshal(selector)
	t.Waits("document.querySelector(" + string(quoted) + ")")
	t.Script("document.querySelector("+string(quoted)+").click()", nil)
}

// Type writes into the element that a CSS selector finds.
func (t *Tab) Type(selector, text string) {
	t.t.Helper()
	quoted, _ := json.Marshal(selector)
	t.Script("document.querySelector("+string(quoted)+").focus()", nil)
	t.do("Input.insertText", params{"text": text}, nil)
}

// Key presses a key, such as j, ? or Enter.
func (t *Tab) Key(key string) {
	t.t.Helper()
	down := params{"type": "keyDown", "key": key}
	if len(key) == 1 {
		down["text"] = key
	} else if key == "Enter" {
		down["text"], down["windowsVirtualKeyCode"] = "\r", 13
	}
	t.do("Input.dispatchKeyEvent", down, nil)
	t.do("Input.dispatchKeyEvent", params{"type": "keyUp", "key": key}, nil)
}

// Text is what the page shows.
func (t *Tab) Text() string {
	t.t.Helper()
	var text string
	_ = t.script("document.body.innerText", &text) // a page may be being loaded
	return text
}

// Screenshot is what the page looks like, as PNG: what fits into the window, or all of it.
func (t *Tab) Screenshot(whole bool) []byte {
	t.t.Helper()
	var answer struct{ Data string }
	t.do("Page.captureScreenshot", params{"format": "png", "captureBeyondViewport": whole, "optimizeForSpeed": false}, &answer)
	png, err := base64.StdEncoding.DecodeString(answer.Data)
	t.must(err)
	return png
}
