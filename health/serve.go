package health

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves GET /healthz and GET /metrics.
func (r *Registry) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", r.serveReport)
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.metrics, promhttp.HandlerOpts{
		ErrorHandling: promhttp.HTTPErrorOnError,
	}))
	return mux
}

func (r *Registry) serveReport(w http.ResponseWriter, _ *http.Request) {
	report := r.Report()
	body, err := json.Marshal(report)
	if err != nil {
		http.Error(w, "health: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !report.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(body, '\n'))
}

// collector turns the registry's state into metrics at each scrape.
type collector struct{ registry *Registry }

var (
	readyDesc = prometheus.NewDesc("claude_bottle_ready",
		"1 when every selected role is ready.", nil, nil)
	stateDesc = prometheus.NewDesc("claude_bottle_role_state",
		"1 for the state the role is in.", []string{"role", "state"}, nil)
	restartsDesc = prometheus.NewDesc("claude_bottle_role_restarts_total",
		"Crashes of the role.", []string{"role"}, nil)
	generationDesc = prometheus.NewDesc("claude_bottle_role_generation",
		"Configurations the role has put in force.", []string{"role"}, nil)
)

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{readyDesc, stateDesc, restartsDesc, generationDesc} {
		ch <- desc
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	report := c.registry.Report()
	ch <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, oneIf(report.Ready))
	for name, role := range report.Roles {
		for _, state := range []State{Starting, Ready, Failed, Stopped} {
			ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue,
				oneIf(role.State == state), name, string(state))
		}
		ch <- prometheus.MustNewConstMetric(restartsDesc, prometheus.CounterValue, float64(role.Restarts), name)
		ch <- prometheus.MustNewConstMetric(generationDesc, prometheus.GaugeValue, float64(role.Generation), name)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
