package main

import (
	"math"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// diskOf is what is free for this process on the disk of a folder, and the size of that disk, in bytes.
func diskOf(folder string) (free, size int64, err error) {
	var disk syscall.Statfs_t
	err = syscall.Statfs(folder, &disk)
	return int64(disk.Bavail) * disk.Bsize, int64(disk.Blocks) * disk.Bsize, err
}

// measureDisk registers how full the disk of SLUICE_DATA is; NaN while that is not known.
func measureDisk(folder string, registry prometheus.Registerer) {
	f := promauto.With(registry)
	known := func(bytes int64, err error) float64 {
		if err != nil {
			return math.NaN()
		}
		return float64(bytes)
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_data_disk_free_bytes", Help: "Bytes free on the disk of SLUICE_DATA. Without any, deliveries are answered 503 while NATS is away, and always with the embedded NATS: make room."}, func() float64 {
		free, _, err := diskOf(folder)
		return known(free, err)
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_data_disk_size_bytes", Help: "Size of the disk of SLUICE_DATA."}, func() float64 {
		_, size, err := diskOf(folder)
		return known(size, err)
	})
}
