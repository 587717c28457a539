package tui

import (
	"context"
	"os/exec"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// mode is which screen is shown.
type mode int

const (
	listing    mode = iota
	reading         // one proposal
	choosing        // for how long
	typing          // a reason or a duration
	checking        // waiting for a preview
	retrying        // an edit that cannot be applied
	confirming      // yes or no
	applying        // waiting until it is in force
	helping
)

const (
	minWidth, minHeight = 36, 10

	lookEvery   = time.Second
	readWithin  = 20 * time.Second
	showEvery   = 5 // looks
	restFor     = 4 // times as long as a look took
	maxDuration = 30 * 24 * time.Hour
)

// model is the view's state.
type model struct {
	ctx  context.Context
	desk Desk
	now  func() time.Time
	// after tells Update something later.
	after func(time.Duration, tea.Msg) tea.Cmd
	// exec gives the terminal to another program.
	exec func(*exec.Cmd, tea.ExecCallback) tea.Cmd

	width, height int
	colours       bool

	mode    mode
	before  mode // helping: what is under it
	list    list
	looking map[string]bool      // looks on their way
	next    map[string]time.Time // when a bottle is looked at again
	ticks   int

	open    key     // the proposal that is shown
	detail  *Detail // nil while it is read
	exact   bool    // its rule is shown as it is
	gone    bool    // it no longer waits
	banner  string  // what must be known of it
	showing bool    // a read is on its way

	act     Act     // what is being put together
	asShown asShown // what was shown before it is confirmed
	preview Preview
	grant   *Grant // what is being revoked, when no proposal is acted on
	asked   bool   // the pane shows what is to be confirmed, not the proposal
	edited  []byte // the rule as the operator left it
	input   input

	pane     pane
	aid      pane // help
	gate     gate
	note     string
	noteAs   style
	trouble  string // why the bottles cannot be listed
	quitting bool
}

func newModel(ctx context.Context, desk Desk, now func() time.Time, colours bool) *model {
	return &model{
		ctx: ctx, desk: desk, now: now, colours: colours,
		list:    list{bottles: make(map[string]Bottle), failed: make(map[string]string)},
		looking: make(map[string]bool),
		next:    make(map[string]time.Time),
		after:   after,
		exec:    tea.ExecProcess,
		gate:    gate{after: after},
	}
}

func after(d time.Duration, msg tea.Msg) tea.Cmd {
	return tea.Tick(d, func(time.Time) tea.Msg { return msg })
}

// What is told to Update.
type (
	tickMsg  struct{}
	slugsMsg struct {
		slugs []string
		err   error
	}
	lookMsg struct {
		slug   string
		bottle Bottle
		err    error
		took   time.Duration
	}
	showMsg struct {
		key    key
		detail Detail
		err    error
	}
)

// Init implements tea.Model.
func (m *model) Init() tea.Cmd {
	m.list.build()
	return tea.Batch(m.slugs(), m.after(lookEvery, tickMsg{}))
}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.handle(msg)
	return m, tea.Batch(cmd, m.settle())
}

func (m *model) handle(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.refill()
	case tea.ColorProfileMsg:
		m.colours = m.colours && msg.Profile >= colorprofile.ANSI
	case tickMsg:
		m.ticks++
		return tea.Batch(m.after(lookEvery, tickMsg{}), m.slugs())
	case slugsMsg:
		return m.listed(msg)
	case lookMsg:
		delete(m.looking, msg.slug)
		m.next[msg.slug] = m.now().Add(restFor * msg.took)
		m.list.put(msg.slug, msg.bottle, msg.err)
		return m.follow(msg.slug)
	case showMsg:
		return m.shown(msg)
	case previewMsg:
		return m.previewed(msg)
	case appliedMsg:
		return m.applied(msg)
	case editedMsg:
		return m.edit(msg)
	case drawnMsg, silentMsg, tea.CursorPositionMsg:
		return m.gate.update(msg)
	case tea.PasteMsg:
		if m.mode == typing {
			m.input.insert(msg.Content)
		}
	case tea.KeyPressMsg:
		return m.press(msg)
	}
	return nil
}

// interrupt ends whatever was being decided about the open proposal, and says
// why. What is being put in force already goes on: the queue refuses it when it
// is no longer of what was shown.
func (m *model) interrupt(why string) {
	if m.mode == applying {
		return
	}
	if m.mode == helping {
		m.before = reading
	} else if m.mode != listing {
		m.mode = reading
	}
	m.act, m.asked, m.banner = Act{}, false, why
	m.pane.shown = 0
	m.refill()
}

// refill writes the pane anew, for new content or a new size.
func (m *model) refill() {
	width := max(m.width, minWidth)
	help := newWords(width)
	for _, text := range textHelp {
		help.block(normal, "", "    ", text)
	}
	m.aid.set(help.lines, 0)
	switch {
	case m.asked && m.grant != nil:
		lines := m.revocation(width)
		m.pane.set(lines, len(lines))
	case m.asked:
		var lines []line
		lines, m.exact = m.preview.content(m.act, m.asShown, width)
		m.pane.set(lines, len(lines))
	case m.detail != nil:
		lines, need, exact := m.detail.content(width)
		m.exact = exact
		m.pane.set(lines, need)
	default:
		m.pane.set([]line{{text: textLoading, as: faint}}, 1)
	}
}

// settle fits everything to the screen and shuts the gate when the screen
// shows something new that will be decided on.
func (m *model) settle() tea.Cmd {
	m.list.resize(m.body())
	m.pane.resize(m.body())
	m.aid.resize(m.body())
	if m.small() || m.mode == listing || m.mode == helping {
		return nil
	}
	if m.pane.mark() {
		return m.gate.shut()
	}
	return nil
}

func (m *model) say(as style, text string) { m.note, m.noteAs = text, as }

func (m *model) small() bool { return m.width < minWidth || m.height < minHeight }
