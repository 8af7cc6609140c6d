package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// prometheus is a server that is asked for a time.
type prometheus struct {
	address  string
	from, to time.Time
}

type point struct {
	at    time.Time
	value float64
	base  float64 // what it stands on
}

type result struct {
	labels map[string]string
	points []point // one at least
}

// mostPoints of a line are as many as can be seen.
const mostPoints = 160

func (p *prometheus) step() time.Duration {
	return max(time.Second, (p.to.Sub(p.from) / mostPoints).Round(time.Second))
}

// query is what an expression was in all of the time.
func (p *prometheus) query(expression string) (all []result, err error) {
	answer, err := http.Get(p.address + "/api/v1/query_range?" + url.Values{
		"query": {expression}, "start": {fmt.Sprint(p.from.Unix())}, "end": {fmt.Sprint(p.to.Unix())}, "step": {fmt.Sprint(p.step().Seconds())},
	}.Encode())
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var said struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return nil, err
	}
	if said.Error != "" {
		return nil, errors.New(said.Error)
	}
	for _, r := range said.Data.Result {
		if points := pointsOf(r.Values); len(points) > 0 {
			all = append(all, result{r.Metric, points})
		}
	}
	return all, nil
}

// pointsOf leaves out what cannot be drawn.
func pointsOf(values [][2]any) (points []point) {
	for _, v := range values {
		seconds, _ := v[0].(float64)
		text, _ := v[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err == nil && !math.IsNaN(value) && !math.IsInf(value, 0) {
			points = append(points, point{at: time.UnixMilli(int64(seconds * 1000)), value: value})
		}
	}
	return points
}
