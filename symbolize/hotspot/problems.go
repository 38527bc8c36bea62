package hotspot

import (
	"errors"
	"fmt"
)

// problems collects why some of several things are missing.
type problems struct{ list []error }

func (p *problems) add(what string, err error) {
	if err != nil {
		p.list = append(p.list, fmt.Errorf("%s: %w", what, err))
	}
}

func (p *problems) err() error { return errors.Join(p.list...) }
