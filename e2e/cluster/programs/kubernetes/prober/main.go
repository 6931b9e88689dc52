// What a test's pod runs: it keeps a file on its volume, says how large the volume is, and asks others on behalf of the test.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"
)

const volume = "/data"

func main() {
	if info, err := os.Stat(volume); err == nil && info.IsDir() {
		// Appended to at each start, so that a volume that was lost shows.
		file, err := os.OpenFile(volume+"/starts", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(file, time.Now().Format(time.RFC3339))
		file.Close()
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	http.HandleFunc("/starts", func(w http.ResponseWriter, _ *http.Request) {
		text, err := os.ReadFile(volume + "/starts")
		answer(w, string(text), err)
	})
	http.HandleFunc("/megabytes", func(w http.ResponseWriter, _ *http.Request) {
		var stat syscall.Statfs_t
		err := syscall.Statfs(volume, &stat)
		answer(w, fmt.Sprint(stat.Blocks*uint64(stat.Bsize)>>20), err)
	})
	http.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		client := http.Client{Timeout: 5 * time.Second}
		response, err := client.Get(r.URL.Query().Get("url"))
		if err != nil {
			answer(w, "", err)
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		answer(w, string(text), err)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":8080", nil))
	os.Exit(1)
}

func answer(w http.ResponseWriter, text string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprint(w, text)
}
