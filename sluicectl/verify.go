package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/ops/verify"
)

// verifying is `sluicectl verify` with its flags.
type verifying struct{ headers, body, refused, secret, at string }

func verifyCommand() *cobra.Command {
	v := &verifying{}
	s := &session{}
	c := &cobra.Command{
		Use: "verify", Short: "Say why a captured webhook's signature or timestamp is refused", Args: cobra.NoArgs,
		Long: `Say why a captured webhook's signature or timestamp is refused. It exits with 0 if the gateway would accept it.

The headers are lines of the form "Name: value", as in the log of a proxy. Only the first digits of the expected
signature are printed, and no secret. With --refused, a request is verified as of the time it came.`,
		Example: "  sluicectl verify --refused 1\n  sluicectl verify --headers headers.txt --body body.json\n  sluicectl verify --headers headers.txt --body body.json --at 2026-01-31T08:00:00Z -o json",
	}
	s.natsFlags(c)
	outputFlag(c, &s.output)
	f := c.Flags()
	f.StringVar(&v.headers, "headers", "", "file with the request's headers")
	f.StringVar(&v.body, "body", "", "file with the request's body, byte for byte")
	completeFiles(c, "headers", "body")
	f.StringVar(&v.refused, "refused", "", "instead of files: the id of a request, from sluicectl refused list")
	f.StringVar(&v.secret, "secret", "", "secrets to try, separated by commas (default: "+secretVariable+", or the one that \"make run\" generated)")
	f.StringVar(&v.at, "at", "", "verify as of this time: 2026-01-31T08:00:00Z, or 2h for two hours ago (default: now, or when the refused request came)")
	_ = errors.Join(c.MarkFlagFilename("headers"), c.MarkFlagFilename("body")) // fail for flags that are not there
	c.RunE = func(c *cobra.Command, _ []string) error {
		s.attach(c)
		return v.do(c.Context(), s)
	}
	return c
}

func (v *verifying) do(ctx context.Context, s *session) error {
	request, at, err := v.captured(ctx, s)
	if err != nil {
		return err
	}
	if v.at != "" {
		if at, err = parseTime("at", v.at, time.Now()); err != nil {
			return err
		}
	}
	secrets, err := v.secrets()
	if err != nil {
		return err
	}
	found, err := verify.Explain(request, secrets, at)
	if err != nil {
		return err
	}
	return s.tellFindings(found, "the gateway would refuse it, see above")
}

// captured is the request, and the time to verify it as of.
func (v *verifying) captured(ctx context.Context, s *session) (request verify.Request, at time.Time, err error) {
	switch files := v.headers != "" && v.body != ""; {
	case v.refused != "" && v.headers == "" && v.body == "":
		return v.fromStream(ctx, s)
	case v.refused != "" || !files:
		return request, at, misused("name both files, --headers and --body, or --refused and an id")
	}
	headers, err := os.ReadFile(v.headers)
	if err != nil {
		return request, at, err
	}
	body, err := os.ReadFile(v.body)
	return verify.Request{Headers: verify.ParseHeaders(headers), Body: body}, time.Now(), err
}

func (v *verifying) fromStream(ctx context.Context, s *session) (request verify.Request, at time.Time, err error) {
	if err := s.open(ctx); err != nil {
		return request, at, err
	}
	defer s.nc.Close()
	r, err := s.refusedRequest(ctx, v.refused)
	if err != nil {
		return request, at, err
	}
	if !r.Whole() {
		return request, at, fmt.Errorf("refused #%d: its body is %s, so its signature cannot be verified: sluicectl refused show %d shows what is kept", r.Sequence, r.State, r.Sequence)
	}
	return verify.Request{Headers: verify.Headers(r.Header), Body: r.Body}, r.Received, nil
}

func (v *verifying) secrets() (all []string, err error) {
	list := v.secret
	if list == "" {
		if list, err = findSecrets(); err != nil {
			return nil, err
		}
	}
	for secret := range strings.SplitSeq(list, ",") {
		all = append(all, strings.TrimSpace(secret))
	}
	return all, nil
}

// tellFindings prints what was found; a failure among it is the error failed.
func (s *session) tellFindings(found finding.List, failed string) error {
	if s.json() {
		if err := object(s.out, found); err != nil {
			return err
		}
	} else {
		s.printFindings(found)
	}
	if found.Failed() {
		return errors.New(failed)
	}
	return nil
}

func (s *session) printFindings(found finding.List) {
	for _, f := range found {
		fmt.Fprintf(s.out, "%-4s  %-12s  %s\n", f.Level, f.Check, printable(f.Detail))
		if f.Remedy != "" {
			fmt.Fprintf(s.out, "%-4s  %-12s  → %s\n", "", "", printable(f.Remedy))
		}
	}
}
