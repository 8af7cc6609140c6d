package doctor

import (
	"context"
	"errors"

	"github.com/sluicehq/sluice/internal/durability"
	"github.com/sluicehq/sluice/internal/handshake"
	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// worth is what the gateway calls the worth of a 200 on its /readyz.
const worth = "durability"

// gateway passes on what a gateway that runs says of itself, and reports whether it told what a 200 is worth.
func (o *Options) gateway(ctx context.Context, all *finding.List) (told bool) {
	const check = "gateway"
	r, err := telemetry.Ask(ctx, o.Admin, o.Token)
	if err != nil {
		all.Warn(check, err.Error(), "what only a gateway that runs can say is left out")
		return false
	}
	all.OK(check, "it is "+r.Status)
	if r.Withheld {
		all.Warn(check, "it tells the rest to those who have its token", "set SLUICE_ADMIN_TOKEN, or SLUICE_ADMIN_TOKEN_FILE")
	}
	for _, d := range r.Dependencies {
		told = told || d.Name == worth
		switch {
		case d.Status == telemetry.Down:
			all.Fail(check, d.Name+": "+d.Detail, d.Remedy)
		case d.Status == telemetry.Degraded:
			all.Warn(check, d.Name+": "+d.Detail, d.Remedy)
		case d.Detail != "":
			all.OK(check, d.Name+": "+d.Detail)
		}
	}
	return told
}

// durability is what a 200 would be worth, as far as it can be seen without a gateway.
func (o *Options) durability(ctx context.Context, all *finding.List, h *hub) {
	w, ok := o.worth(ctx, h)
	switch {
	case !ok: // the streams are not there, which is said
	case w.Remedy == "":
		all.OK(worth, w.Detail)
	default:
		all.Warn(worth, w.Detail, w.Remedy)
	}
}

func (o *Options) worth(ctx context.Context, h *hub) (w durability.Worth, ok bool) {
	if h.nc.ConnectedServerName() == stream.EmbeddedName {
		return durability.Worth{Kept: durability.Unknown, Detail: "NATS runs inside a gateway, which alone can say it", Remedy: "set SLUICE_ADMIN to the gateway's admin address"}, true
	}
	events, err := h.js.Stream(ctx, stream.Events)
	if err != nil {
		return w, false
	}
	syncing, err := durability.AskSyncing(ctx, h.nc, o.NATSURL, o.Monitor, o.TLS)
	return durability.InNATS(durability.CopiesOf(events.CachedInfo()), syncing, err), true
}

// certificate looks at what the sender is shown.
func (o *Options) certificate(ctx context.Context, all *finding.List) {
	const check = "certificate"
	if o.URL == "" {
		return
	}
	trust, err := handshake.Trust(o.Authorities)
	if err != nil {
		all.Fail(check, err.Error(), "correct --ca")
		return
	}
	shown, err := handshake.Look(ctx, o.URL, trust)
	var known *handshake.Problem
	switch {
	case err == nil:
		all.OK(check, shown)
	case errors.As(err, &known):
		all.Fail(check, mask.Address(o.URL)+": "+known.What, known.Remedy)
	default:
		all.Fail(check, mask.Text(err.Error(), o.URL), "start the gateway, let the name in --url lead to it, and open its port")
	}
}
